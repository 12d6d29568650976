-- Money paid in: p_amount, text like 12.50, more than zero. Answers account_id, amount, balance, available as they
-- were after it; the same key answers the same for ever, and is an error with other content.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE top_up(
  IN p_key LONGTEXT,
  IN p_account_id BIGINT UNSIGNED,
  IN p_amount LONGTEXT,
  IN p_actor VARCHAR(64),
  IN p_reason VARCHAR(255),
  IN p_reference VARCHAR(128)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_amount DECIMAL(18,6);

  CALL refuse_in_transaction('top_up');
  CALL check_amount(CONCAT('top_up of account ', COALESCE(p_account_id, 'NULL')), p_amount, v_amount);
  CALL move_money('top_up', p_key, p_account_id, v_amount, NULL, p_actor, p_reason, p_reference, FALSE);
END
