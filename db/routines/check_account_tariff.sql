-- Refuses an account in another currency than its tariff's. The foreign key of `account` says so too, less plainly,
-- and to whoever changes the tariff later. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_account_tariff(
  IN p_name VARCHAR(64),
  IN p_currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_tariff_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin;

  SELECT currency INTO v_currency FROM tariff WHERE id = p_tariff_id;
  IF v_currency IS NULL THEN
    CALL refuse(CONCAT('unknown_tariff: there is no tariff ', COALESCE(p_tariff_id, 'NULL'), ' for account ', p_name));
  END IF;
  IF NOT (v_currency <=> p_currency) THEN
    CALL refuse(CONCAT('currency_mismatch: account ', p_name, ' is in ', COALESCE(p_currency, 'NULL'), ', tariff ',
                       p_tariff_id, ' in ', v_currency));
  END IF;
END
