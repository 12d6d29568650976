-- No new call of this user. Those in progress end at their grants; with p_now they are marked to be ended (end_call).
-- Answers ending, how many those are.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE suspend_user(
  IN p_account VARCHAR(64),
  IN p_user VARCHAR(64),
  IN p_now BOOLEAN,
  IN p_reason VARCHAR(200)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_calls INT UNSIGNED DEFAULT 0;

  CALL refuse_in_transaction('suspend_user');

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_user(p_account, p_user, v_account, v_id);
    UPDATE user SET status = 'suspended' WHERE id = v_id;
    IF p_now THEN
      CALL mark_calls(v_account, v_id, p_reason, v_calls);
    END IF;
    COMMIT;
  END;
  SELECT v_calls AS ending;
END
