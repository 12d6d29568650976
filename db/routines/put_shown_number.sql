-- A number that user p_user of an account may show, or with NULL every user of it and a card itself: E.164 digits; with a
-- * at their end all numbers that begin so. p_default: shown when the caller asks for none; of several the last set is
-- it. The first number that is no range is the default in any case. Answers account_id, user_id, number, is_default.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE put_shown_number(
  IN p_account VARCHAR(64),
  IN p_user VARCHAR(64),
  IN p_number TEXT,
  IN p_default BOOLEAN
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_user BIGINT UNSIGNED;
  DECLARE v_default BOOLEAN DEFAULT COALESCE(p_default, FALSE);

  CALL refuse_in_transaction('put_shown_number');
  IF NOT COALESCE(p_number REGEXP '\\A[1-9][0-9]{1,14}[*]?\\z', FALSE) THEN
    CALL refuse(CONCAT('invalid_content: shown number ', COALESCE(LEFT(p_number, 40), 'NULL'),
                       ' is not 2 to 15 digits in E.164, perhaps with a * at the end'));
  END IF;
  IF v_default AND p_number LIKE '%*' THEN
    CALL refuse(CONCAT('invalid_content: ', p_number, ' is a range and cannot be the number that is shown'));
  END IF;
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_shown_owner(p_account, p_user, v_account, v_user);
    IF (SELECT COUNT(*) FROM shown_number
         WHERE account_id = v_account AND user_id = v_user AND number <> CONVERT(p_number USING ascii)) >= 100 THEN
      CALL refuse(CONCAT('too_many_numbers: account ', p_account, COALESCE(CONCAT(', user ', p_user), ''),
                         ' has 100 numbers to show: a range such as 493055512* is one'));
    END IF;
    IF p_number NOT LIKE '%*' AND NOT EXISTS (
      SELECT 1 FROM shown_number WHERE account_id = v_account AND user_id = v_user AND is_default
    ) THEN
      SET v_default = TRUE;
    END IF;
    IF v_default THEN
      UPDATE shown_number SET is_default = FALSE WHERE account_id = v_account AND user_id = v_user;
    END IF;
    INSERT INTO shown_number (account_id, user_id, number, is_default)
    VALUES (v_account, v_user, p_number, v_default)
    ON DUPLICATE KEY UPDATE is_default = is_default OR v_default;
    CALL gather_shown_numbers(v_account, v_user);
    SELECT is_default INTO v_default
      FROM shown_number
     WHERE account_id = v_account AND user_id = v_user AND number = CONVERT(p_number USING ascii);
    COMMIT;
  END;
  SELECT v_account AS account_id, v_user AS user_id, p_number AS number, v_default AS is_default;
END
