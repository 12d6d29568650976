-- Makes or changes the tariff of this name, and answers id. Every change raises its version.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE put_tariff(
  IN p_name VARCHAR(64),
  IN p_owner_account_id BIGINT UNSIGNED,
  IN p_currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_decimals TINYINT UNSIGNED,
  IN p_rounding VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_zone VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('put_tariff');
  IF TRIM(COALESCE(p_name, '')) = '' THEN
    CALL refuse('invalid_content: a tariff has a name');
  END IF;
  CALL check_tariff(p_name, p_currency, p_decimals, p_rounding, p_zone);
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL check_tariff_owner(p_name, p_owner_account_id);
    INSERT INTO tariff (name, owner_account_id, currency, decimals, rounding, zone)
    VALUES (p_name, p_owner_account_id, p_currency, p_decimals, p_rounding, p_zone)
    ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), owner_account_id = p_owner_account_id, currency = p_currency,
      decimals = p_decimals, rounding = p_rounding, zone = p_zone, version = version + 1;
    SET v_id = LAST_INSERT_ID();
    CALL check_max_costs(p_name, v_id, p_decimals);
    COMMIT;
  END;
  SELECT v_id AS id;
END
