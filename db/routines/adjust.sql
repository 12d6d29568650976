-- A correction, up or down ("-3.5"). Only with p_force may a debit leave less than nothing available; calls in
-- progress then end at their grants. A reason must be given.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE adjust(
  IN p_key LONGTEXT,
  IN p_account_id BIGINT UNSIGNED,
  IN p_amount LONGTEXT,
  IN p_actor VARCHAR(64),
  IN p_reason VARCHAR(255),
  IN p_reference VARCHAR(128),
  IN p_force BOOLEAN
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_amount DECIMAL(18,6);
  DECLARE v_what VARCHAR(128) DEFAULT CONCAT('adjust of account ', COALESCE(p_account_id, 'NULL'));

  CALL refuse_in_transaction('adjust');
  IF TRIM(COALESCE(p_reason, '')) = '' THEN
    CALL refuse(CONCAT('invalid_content: ', v_what, ' gives no reason'));
  END IF;
  IF LEFT(p_amount, 1) = '-' THEN
    CALL check_amount(v_what, SUBSTRING(p_amount, 2), v_amount);
    SET v_amount = -v_amount;
  ELSE
    CALL check_amount(v_what, p_amount, v_amount);
  END IF;
  CALL move_money('adjustment', p_key, p_account_id, v_amount, NULL, p_actor, p_reason, p_reference,
                  COALESCE(p_force, FALSE));
END
