-- Changes a tariff's name, decimals, rounding or zone; what is NULL stays. Acts on the next call. Answers version.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE set_tariff(
  IN p_tariff VARCHAR(64),
  IN p_name VARCHAR(64),
  IN p_decimals TINYINT UNSIGNED,
  IN p_rounding VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_zone VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_version BIGINT UNSIGNED;

  CALL refuse_in_transaction('set_tariff');
  IF TRIM(p_name) = '' THEN
    CALL refuse(CONCAT('invalid_content: the new name of tariff ', COALESCE(p_tariff, 'NULL'), ' is empty'));
  END IF;
  CALL check_tariff(p_tariff, NULL, p_decimals, p_rounding, p_zone);
  BEGIN
    DECLARE EXIT HANDLER FOR 1062
    BEGIN
      ROLLBACK;
      CALL refuse(CONCAT('tariff_exists: there is a tariff ', p_name));
    END;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_tariff(p_tariff, v_id);
    CALL raise_tariff_version(v_id, v_version);
    CALL check_max_costs(p_tariff, v_id, p_decimals);
    UPDATE tariff
       SET name = COALESCE(p_name, name), decimals = COALESCE(p_decimals, decimals),
           rounding = COALESCE(p_rounding, rounding), zone = COALESCE(p_zone, zone)
     WHERE id = v_id;
    COMMIT;
  END;
  SELECT v_version AS version;
END
