-- Takes a caller number from a trunk.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE remove_caller_number(
  IN p_trunk VARCHAR(64),
  IN p_number TEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_trunk BIGINT UNSIGNED;

  CALL refuse_in_transaction('remove_caller_number');

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_trunk(p_trunk, v_trunk);
    DELETE FROM credential_caller_number WHERE trunk_id = v_trunk AND number = CONVERT(p_number USING ascii);
    IF ROW_COUNT() = 0 THEN
      CALL refuse(CONCAT('unknown_number: trunk ', p_trunk, ' has no caller number ',
                         COALESCE(LEFT(p_number, 40), 'NULL')));
    END IF;
    COMMIT;
  END;
END
