-- No new call of the account, nor of any below it: open_call asks every account of the chain, under the lock that this
-- takes, too. Calls in progress end at their grants; with p_now they are marked to be ended (end_call). Answers ending,
-- how many those are.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE suspend_account(
  IN p_account VARCHAR(64),
  IN p_now BOOLEAN,
  IN p_reason VARCHAR(200)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_calls INT UNSIGNED DEFAULT 0;

  CALL refuse_in_transaction('suspend_account');

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
    SELECT status INTO v_status FROM account WHERE id = v_id FOR UPDATE;
    IF v_status = 'closed' THEN
      CALL refuse(CONCAT('account_closed: account ', p_account, ' is closed and stays so'));
    END IF;

    UPDATE account SET status = 'suspended' WHERE id = v_id;
    UPDATE card SET suspended = TRUE WHERE account_id = v_id;
    IF p_now THEN
      CALL mark_calls(v_id, NULL, p_reason, v_calls);
    END IF;
    COMMIT;
  END;
  SELECT v_calls AS ending;
END
