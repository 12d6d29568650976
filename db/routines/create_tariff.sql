-- A new price list without rates; p_owner is the reseller whose list it is, NULL: the vendor himself. Answers id.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE create_tariff(
  IN p_tariff VARCHAR(64),
  IN p_owner VARCHAR(64),
  IN p_currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_decimals TINYINT UNSIGNED,
  IN p_rounding VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_zone VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_owner_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('create_tariff');
  IF TRIM(COALESCE(p_tariff, '')) = '' THEN
    CALL refuse('invalid_content: a tariff has a name');
  END IF;
  CALL check_tariff(p_tariff, p_currency, p_decimals, p_rounding, p_zone);
  BEGIN
    DECLARE EXIT HANDLER FOR 1062
    BEGIN
      ROLLBACK;
      CALL refuse(CONCAT('tariff_exists: there is a tariff ', p_tariff));
    END;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    SELECT id INTO v_owner_id FROM account WHERE name = p_owner AND kind = 'reseller';
    IF p_owner IS NOT NULL AND v_owner_id IS NULL THEN
      CALL refuse(CONCAT('unknown_account: there is no reseller ', p_owner, ' to own tariff ', p_tariff));
    END IF;
    INSERT INTO tariff (name, owner_account_id, currency, decimals, rounding, zone)
    VALUES (p_tariff, v_owner_id, p_currency, p_decimals, p_rounding, p_zone);
    SET v_id = LAST_INSERT_ID();
    COMMIT;
  END;
  SELECT v_id AS id;
END
