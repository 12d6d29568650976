-- The chain of an account, as caller_chain answers it. Reads only.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE identify_account(IN p_account_id BIGINT UNSIGNED)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  CALL refuse_in_transaction('identify_account');
  CALL caller_chain(p_account_id, NULL, NULL, NULL, NULL);
END
