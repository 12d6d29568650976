-- The CDR of a call that never opened: refused, an emergency call, or one of which nobody knows whether open_call
-- came through. Once it is written the call cannot open any more.
--
-- p_content is JSON: node, account (null: emergency), user, caller, callee, dialled, source, sip_call_id, result,
-- detail, sip_code, end_reason, opened_ago_ms, answered_ago_ms, ended_ago_ms, talked_ms, carrier, shown. Answers one
-- row: outcome 'recorded', 'already', or 'live': it did open (and may be charged provisionally by now), so settle it.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE record_call(
  IN p_call_key LONGTEXT,
  IN p_content LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  -- Taken before the wait for the lock: `ago` was counted when the call was made.
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_live CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_outcome VARCHAR(32);

  CALL refuse_in_transaction('record_call');
  CALL check_key('record_call', p_call_key, v_key);
  IF p_content IS NULL OR NOT JSON_VALID(p_content) THEN
    CALL refuse(CONCAT('invalid_content: record_call of ', v_key, ' was not given JSON'));
  END IF;
  SET v_account = JSON_VALUE(p_content, '$.account');

  BEGIN
    -- Only a call without an account can get here: two with one wait for each other at its purse.
    DECLARE EXIT HANDLER FOR 1062
    BEGIN
      ROLLBACK;
      SET v_outcome = 'already';
    END;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;

    -- The purse that open_call locks too: so either it is through and the call is live, or it will find our CDR.
    IF v_account IS NOT NULL THEN
      CALL lock_purses(JSON_ARRAY(v_account));
    END IF;
    SELECT call_key INTO v_live FROM live_call WHERE call_key = v_key FOR UPDATE;

    -- What the reaper charged did open as well; the fact that it never connected is its truth. See settle_call.
    IF v_live IS NOT NULL OR EXISTS (
      SELECT 1
        FROM cdr
        LEFT JOIN accepted_call ON accepted_call.call_key = cdr.call_key AND accepted_call.told_at IS NULL
       WHERE cdr.call_key = v_key AND (cdr.provisional OR accepted_call.call_key IS NOT NULL)
    ) THEN
      SET v_outcome = 'live';
    ELSEIF EXISTS (SELECT 1 FROM cdr WHERE call_key = v_key)
           OR EXISTS (SELECT 1 FROM cdr_archive WHERE call_key = v_key) THEN
      SET v_outcome = 'already';
    ELSE
      CALL write_record(v_key, p_content, v_now);
      SET v_outcome = 'recorded';
    END IF;
    COMMIT;
  END;
  SELECT v_outcome AS outcome;
END
