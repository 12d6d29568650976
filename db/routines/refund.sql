-- Money given back for a reason: a credit like top_up, of a kind of its own.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE refund(
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

  CALL refuse_in_transaction('refund');
  CALL check_amount(CONCAT('refund of account ', COALESCE(p_account_id, 'NULL')), p_amount, v_amount);
  CALL move_money('refund', p_key, p_account_id, v_amount, NULL, p_actor, p_reason, p_reference, FALSE);
END
