-- A carrier, active. p_settings is a JSON object of what set_carrier takes; it must have a host. Answers id.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE create_carrier(
  IN p_carrier VARCHAR(64),
  IN p_settings LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('create_carrier');
  IF TRIM(COALESCE(p_carrier, '')) = '' THEN
    CALL refuse('invalid_content: a carrier needs a name');
  END IF;
  CALL check_carrier_settings(p_carrier, p_settings);
  IF JSON_VALUE(p_settings, '$.host') IS NULL THEN
    CALL refuse(CONCAT('invalid_content: carrier ', p_carrier, ' needs a host'));
  END IF;

  BEGIN
    DECLARE EXIT HANDLER FOR 1062
    BEGIN
      ROLLBACK;
      CALL refuse(CONCAT('carrier_exists: there is a carrier ', p_carrier, ' already'));
    END;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    INSERT INTO carrier (name, host) VALUES (p_carrier, JSON_VALUE(p_settings, '$.host'));
    SET v_id = LAST_INSERT_ID();
    CALL change_carrier(v_id, p_carrier, p_settings);
    COMMIT;
  END;
  SELECT v_id AS id;
END
