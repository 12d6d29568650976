-- 'active', or 'suspended': then its addresses are strangers'. Calls in progress go on. A node hears of it within a
-- second or two.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE set_trunk_status(
  IN p_trunk VARCHAR(64),
  IN p_status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('set_trunk_status');
  IF COALESCE(p_status, '') NOT IN ('active', 'suspended') THEN
    CALL refuse(CONCAT('invalid_content: trunk ', COALESCE(p_trunk, 'NULL'), ': ',
                       COALESCE(JSON_QUOTE(p_status), 'NULL'), ' is not active or suspended'));
  END IF;

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_trunk(p_trunk, v_id);
    UPDATE trunk SET status = p_status WHERE id = v_id;
    COMMIT;
  END;
END
