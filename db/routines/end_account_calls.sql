-- Marks all live calls of an account and of those below it to be ended, as end_call does. New ones may open:
-- suspend_account with p_now does both. Answers ending, how many they are.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE end_account_calls(
  IN p_account VARCHAR(64),
  IN p_reason VARCHAR(200)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_calls INT UNSIGNED;

  CALL refuse_in_transaction('end_account_calls');

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_account(p_account, v_id);
    CALL lock_purses(JSON_ARRAY(v_id));
    CALL mark_calls(v_id, NULL, p_reason, v_calls);
    COMMIT;
  END;
  SELECT v_calls AS ending;
END
