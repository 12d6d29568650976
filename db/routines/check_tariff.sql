-- Refuses what no tariff can be, by its name. What is NULL is not looked at. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_tariff(
  IN p_tariff VARCHAR(64),
  IN p_currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_decimals TINYINT UNSIGNED,
  IN p_rounding VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_zone VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_what VARCHAR(128) DEFAULT CONCAT('invalid_content: tariff ', COALESCE(p_tariff, 'NULL'));

  IF NOT p_currency REGEXP '\\A[A-Z]{3}\\z' THEN
    CALL refuse(CONCAT(v_what, ': a currency is three capital letters, not ', p_currency));
  END IF;
  IF p_decimals > 6 THEN
    CALL refuse(CONCAT(v_what, ': charges have 0 to 6 decimals, not ', p_decimals));
  END IF;
  IF p_rounding NOT IN ('up', 'half_up', 'down') THEN
    CALL refuse(CONCAT(v_what, ': rounding is up, half_up or down, not ', p_rounding));
  END IF;
  IF NOT p_zone REGEXP '\\A[A-Za-z0-9_+/-]+\\z' THEN
    CALL refuse(CONCAT(v_what, ': ', p_zone, ' is no time zone'));
  END IF;
  IF EXISTS (SELECT 1 FROM tariff JOIN account ON account.tariff_id = tariff.id
              WHERE tariff.name = p_tariff AND tariff.currency <> p_currency) THEN
    CALL refuse(CONCAT('tariff_in_use: accounts are charged at tariff ', p_tariff, ': its currency stays'));
  END IF;
END
