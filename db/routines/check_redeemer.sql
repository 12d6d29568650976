-- Refuses to pay a voucher into a closed account, a card that was not sold yet, or a reseller. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_redeemer(IN p_account_id BIGINT UNSIGNED)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_name VARCHAR(64);
  DECLARE v_kind VARCHAR(16);
  DECLARE v_is_unsold BOOLEAN;

  CALL check_movable('voucher', p_account_id, NULL);
  SELECT account.name, account.kind, card.account_id IS NOT NULL AND card.activated_at IS NULL
    INTO v_name, v_kind, v_is_unsold
    FROM account LEFT JOIN card ON card.account_id = account.id
   WHERE account.id = p_account_id;
  IF v_kind = 'reseller' OR v_is_unsold THEN
    CALL refuse(CONCAT('invalid_content: a voucher is for an active card or a customer, and ', v_name, ' is ',
                       IF(v_is_unsold, 'not activated', 'a reseller')));
  END IF;
END
