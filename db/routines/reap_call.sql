-- Settles one call provisionally, if it is still live and overdue now that its purses are locked, and appends its key
-- to p_reaped. One transaction; the caller handles errors. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE reap_call(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  INOUT p_reaped LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_accounts LONGTEXT;
  DECLARE v_grant_s INT UNSIGNED;
  DECLARE v_hold_until DATETIME(6);
  DECLARE v_unused BIGINT UNSIGNED;

  SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
  START TRANSACTION READ WRITE;

  SELECT JSON_ARRAYAGG(account_id) INTO v_accounts FROM live_leg WHERE call_key = p_key;
  IF v_accounts IS NOT NULL THEN
    CALL lock_purses(v_accounts);
    SELECT grant_s, hold_until INTO v_grant_s, v_hold_until FROM live_call WHERE call_key = p_key FOR UPDATE;
  END IF;

  IF v_hold_until < UTC_TIMESTAMP(6) - INTERVAL 30 SECOND THEN
    -- It is charged, so it is a use: nobody may ever come back and say so. If the truth is another, settle_provisional
    -- takes it back.
    SELECT live_call.account_id INTO v_unused
      FROM live_call STRAIGHT_JOIN purse ON purse.account_id = live_call.account_id
     WHERE live_call.call_key = p_key AND purse.unused;
    IF v_unused IS NOT NULL THEN
      CALL mark_first_use(p_key, v_unused, v_hold_until - INTERVAL v_grant_s SECOND);
    END IF;
    CALL close_call(p_key, v_grant_s * 1000, v_grant_s, 'answered', '', 'lost_node', NULL, NULL, v_hold_until, NULL,
                    NULL);
    COMMIT;
    SET p_reaped = JSON_ARRAY_APPEND(p_reaped, '$', p_key);
  ELSE
    COMMIT;
  END IF;
END
