-- The callee answered p_answered_ago_ms ago. 'answered' (also when it was known already), 'settled' or
-- 'unknown_call'. Locks the call's row alone: no other routine waits for a purse while it holds one of those. Only for a
-- card's first call the purse is locked before it.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE answer_call(
  IN p_call_key LONGTEXT,
  IN p_answered_ago_ms BIGINT UNSIGNED,
  IN p_sip_to_tag TEXT,
  IN p_carrier_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  -- Taken before the wait for the lock: `ago` was counted when the call was made.
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_state VARCHAR(16);
  DECLARE v_unused BIGINT UNSIGNED;
  DECLARE v_outcome VARCHAR(32) DEFAULT 'answered';

  CALL refuse_in_transaction('answer_call');
  CALL check_key('answer_call', p_call_key, v_key);
  IF p_answered_ago_ms IS NULL THEN
    CALL refuse(CONCAT('invalid_content: answer_call of ', v_key, ' was not told when'));
  END IF;

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;

    SELECT live_call.account_id INTO v_unused
      FROM live_call STRAIGHT_JOIN purse ON purse.account_id = live_call.account_id
     WHERE live_call.call_key = v_key AND purse.unused;
    IF v_unused IS NOT NULL THEN
      CALL lock_purses(JSON_ARRAY(v_unused));
    END IF;
    SELECT state INTO v_state FROM live_call WHERE call_key = v_key FOR UPDATE;
    IF v_state = 'open' THEN
      UPDATE live_call
         SET state = 'answered',
             answered_at = GREATEST(opened_at, v_now - INTERVAL p_answered_ago_ms * 1000 MICROSECOND),
             hold_until = answered_at + INTERVAL grant_s SECOND,
             sip_to_tag = LEFT(p_sip_to_tag, 128),
             carrier_id = COALESCE(p_carrier_id, carrier_id)
       WHERE call_key = v_key;
      IF v_unused IS NOT NULL THEN
        CALL mark_first_use(v_key, v_unused, (SELECT answered_at FROM live_call WHERE call_key = v_key));
      END IF;
    ELSEIF v_state IS NULL THEN
      SET v_outcome = IF(EXISTS (SELECT 1 FROM cdr WHERE call_key = v_key)
                         OR EXISTS (SELECT 1 FROM cdr_archive WHERE call_key = v_key), 'settled', 'unknown_call');
    END IF;
    COMMIT;
  END;
  SELECT v_outcome AS outcome;
END
