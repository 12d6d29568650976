-- 'active' or 'disabled': no call is sent to a disabled carrier; calls that are up at it go on. Answers id.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE set_carrier_status(
  IN p_carrier VARCHAR(64),
  IN p_status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('set_carrier_status');
  IF NOT (p_status IN ('active', 'disabled') <=> TRUE) THEN
    CALL refuse(CONCAT('invalid_content: carrier ', COALESCE(p_carrier, 'NULL'), ' can be active or disabled, not ',
                       COALESCE(p_status, 'NULL')));
  END IF;
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_carrier(p_carrier, v_id);
    UPDATE carrier SET status = p_status WHERE id = v_id;
    COMMIT;
  END;
  SELECT v_id AS id;
END
