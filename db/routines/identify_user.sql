-- The chain of a user's account, as caller_chain answers it. Reads only.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE identify_user(IN p_user_id BIGINT UNSIGNED)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;

  CALL refuse_in_transaction('identify_user');
  SELECT account_id INTO v_account FROM user WHERE id = p_user_id;
  CALL caller_chain(v_account, p_user_id, NULL, NULL, NULL);
END
