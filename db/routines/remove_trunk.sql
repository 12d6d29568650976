-- Removes a trunk with its networks. Refused while it has caller numbers.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE remove_trunk(IN p_trunk VARCHAR(64))
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_numbers INT;

  CALL refuse_in_transaction('remove_trunk');

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_trunk(p_trunk, v_id);
    SELECT COUNT(*) INTO v_numbers FROM credential_caller_number WHERE trunk_id = v_id;
    IF v_numbers > 0 THEN
      CALL refuse(CONCAT('trunk_in_use: trunk ', p_trunk, ' has ', v_numbers, ' caller numbers: remove them first'));
    END IF;
    DELETE FROM trunk WHERE id = v_id;
    COMMIT;
  END;
END
