-- Refuses to pay a voucher into a closed account, a card that was not sold yet or is expired (its holder could not use
-- the money), or a reseller. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_redeemer(IN p_account_id BIGINT UNSIGNED)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_name VARCHAR(64);
  DECLARE v_wrong VARCHAR(16);

  CALL check_movable('voucher', p_account_id, NULL);
  SELECT account.name,
         CASE
           WHEN account.kind = 'reseller' THEN 'a reseller'
           WHEN card.account_id IS NOT NULL AND card.activated_at IS NULL THEN 'not activated'
           WHEN account.kind = 'card' AND account.expires_at <= UTC_TIMESTAMP(6) THEN 'expired'
         END
    INTO v_name, v_wrong
    FROM account LEFT JOIN card ON card.account_id = account.id
   WHERE account.id = p_account_id;
  IF v_wrong IS NOT NULL THEN
    CALL refuse(CONCAT('invalid_content: a voucher is for an active card or a customer, and ', v_name, ' is ',
                       v_wrong));
  END IF;
END
