-- 'active', 'suspended' or 'closed'; what is closed stays closed, and cannot be closed while a call is in progress.
-- Takes the purse's lock like open_call: when this is through, no call is still about to open on the old status.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE set_account_status(
  IN p_account_id BIGINT UNSIGNED,
  IN p_status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_calls INT UNSIGNED;

  CALL refuse_in_transaction('set_account_status');
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL lock_purses(JSON_ARRAY(p_account_id));
    SELECT account.status, purse.calls INTO v_status, v_calls
      FROM account JOIN purse ON purse.account_id = account.id
     WHERE account.id = p_account_id;
    IF v_status = 'closed' AND p_status <> 'closed' THEN
      CALL refuse(CONCAT('account_closed: account ', p_account_id, ' is closed and stays so'));
    END IF;
    IF p_status = 'closed' AND v_calls > 0 THEN
      CALL refuse(CONCAT('calls_in_progress: account ', p_account_id, ' has ', v_calls,
                         ' calls in progress: suspend it first'));
    END IF;
    UPDATE account SET status = p_status WHERE id = p_account_id;
    COMMIT;
  END;
END
