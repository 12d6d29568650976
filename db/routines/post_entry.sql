-- Appends one entry and changes its purse, which is locked. A debit below zero available is refused unless forced;
-- the floor that the CHECK on the purse guards follows what is available below zero. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE post_entry(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_account_id BIGINT UNSIGNED,
  IN p_kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_amount DECIMAL(18,6),
  IN p_actor VARCHAR(64),
  IN p_reason VARCHAR(255),
  IN p_reference VARCHAR(128),
  IN p_force BOOLEAN
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_balance DECIMAL(20,6);
  DECLARE v_available DECIMAL(20,6);

  SELECT balance + p_amount, balance + credit_limit - held + p_amount INTO v_balance, v_available
    FROM purse
   WHERE account_id = p_account_id
     FOR UPDATE;

  IF GREATEST(ABS(v_balance), ABS(v_available)) > 999999999999.999999 THEN
    CALL refuse(CONCAT('invalid_amount: ', p_kind, ' of ', p_amount, ' makes the balance of account ', p_account_id,
                       ' too large'));
  END IF;
  IF p_amount < 0 AND v_available < 0 AND NOT p_force THEN
    CALL refuse(CONCAT('insufficient_balance: account ', p_account_id, ' has ', v_available - p_amount,
                       ' available, which does not cover ', -p_amount));
  END IF;

  INSERT INTO entry (
    entry_key, account_id, kind, amount, balance_after, available_after, forced, actor, login, reason, reference,
    created_at
  ) VALUES (
    p_key, p_account_id, p_kind, p_amount, v_balance, v_available, p_amount < 0 AND v_available < 0, p_actor, USER(),
    COALESCE(p_reason, ''), COALESCE(p_reference, ''), UTC_TIMESTAMP(6)
  );
  UPDATE purse SET balance = v_balance, forced_floor = LEAST(0, v_available) WHERE account_id = p_account_id;
END
