-- Money from one account to another of the same owner (siblings, or parent and child) in the same currency. Answers
-- two rows like top_up's: what left, then what arrived.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE transfer(
  IN p_key LONGTEXT,
  IN p_from_account_id BIGINT UNSIGNED,
  IN p_to_account_id BIGINT UNSIGNED,
  IN p_amount LONGTEXT,
  IN p_actor VARCHAR(64),
  IN p_reason VARCHAR(255)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_amount DECIMAL(18,6);

  CALL refuse_in_transaction('transfer');
  CALL check_amount(
    CONCAT('transfer from ', COALESCE(p_from_account_id, 'NULL'), ' to ', COALESCE(p_to_account_id, 'NULL')),
    p_amount, v_amount);
  IF p_to_account_id IS NULL THEN
    CALL refuse('unknown_account: there is no account NULL');
  END IF;
  CALL move_money('transfer', p_key, p_from_account_id, -v_amount, p_to_account_id, p_actor, p_reason, '', FALSE);
END
