-- Refuses to charge an account below p_parent_id (NULL: the vendor's own) at a tariff that is not its parent's, or is
-- in another currency. The foreign key of `account` says so of the currency too, less plainly, and to whoever changes
-- the tariff later. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_account_tariff(
  IN p_name VARCHAR(64),
  IN p_parent_id BIGINT UNSIGNED,
  IN p_currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_tariff VARCHAR(64)
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_owner BIGINT UNSIGNED;
  DECLARE v_owner_name VARCHAR(64);
  DECLARE v_parent_name VARCHAR(64);

  SELECT id, currency, owner_account_id INTO v_id, v_currency, v_owner FROM tariff WHERE name = p_tariff
    LOCK IN SHARE MODE; -- its owner stays until the account is charged at it
  IF v_id IS NULL THEN
    CALL refuse(CONCAT('unknown_tariff: there is no tariff ', COALESCE(p_tariff, 'NULL'), ' for account ', p_name));
  END IF;
  IF NOT (v_currency <=> p_currency) THEN
    CALL refuse(CONCAT('currency_mismatch: account ', p_name, ' is in ', COALESCE(p_currency, 'NULL'), ', tariff ',
                       p_tariff, ' in ', v_currency));
  END IF;
  IF NOT (v_owner <=> p_parent_id) THEN
    SELECT MAX(IF(id = v_owner, name, NULL)), MAX(IF(id = p_parent_id, name, NULL)) INTO v_owner_name, v_parent_name
      FROM account WHERE id IN (v_owner, p_parent_id);
    CALL refuse(CONCAT('foreign_tariff: tariff ', p_tariff, ' belongs to ', COALESCE(v_owner_name, 'the vendor'),
                       ', and account ', p_name, ' is charged at a tariff of ',
                       COALESCE(v_parent_name, 'the vendor')));
  END IF;
END
