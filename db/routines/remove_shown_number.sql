-- Takes a number away that put_shown_number gave. If it was the default, the lowest of the others is shown until one is
-- made the default. Answers removed, 1.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE remove_shown_number(
  IN p_account VARCHAR(64),
  IN p_user VARCHAR(64),
  IN p_number TEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_user BIGINT UNSIGNED;
  DECLARE v_removed INT;

  CALL refuse_in_transaction('remove_shown_number');
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_shown_owner(p_account, p_user, v_account, v_user);
    DELETE FROM shown_number
     WHERE account_id = v_account AND user_id = v_user AND number = CONVERT(LEFT(p_number, 40) USING ascii);
    SET v_removed = ROW_COUNT();
    IF v_removed = 0 THEN
      CALL refuse(CONCAT('unknown_number: account ', p_account, COALESCE(CONCAT(', user ', p_user), ''),
                         ' has no shown number ', COALESCE(LEFT(p_number, 40), 'NULL')));
    END IF;
    CALL gather_shown_numbers(v_account, v_user);
    COMMIT;
  END;
  SELECT v_removed AS removed;
END
