-- Another name for a trunk.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE rename_trunk(
  IN p_trunk VARCHAR(64),
  IN p_name VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('rename_trunk');
  IF TRIM(COALESCE(p_name, '')) = '' THEN
    CALL refuse('invalid_content: a trunk has a name');
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
    IF EXISTS (SELECT 1 FROM trunk WHERE name = p_name AND id <> v_id) THEN
      CALL refuse(CONCAT('name_taken: there is another trunk named ', p_name));
    END IF;
    UPDATE trunk SET name = p_name WHERE id = v_id;
    COMMIT;
  END;
END
