-- An attempt of a call at a carrier failed p_failed_ago_ms ago, and the next carrier was tried. p_ordinal: 1 for the
-- first of the call; p_sip_code: the carrier's answer, 408 for its silence, 0 if it could not be sent to. Moves no money
-- and locks no purse. 'recorded', 'already' (nothing is changed) or 'unknown_call': without a call there is nothing that
-- it could be counted with, and nobody has to try again.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE record_attempt(
  IN p_call_key LONGTEXT,
  IN p_ordinal SMALLINT UNSIGNED,
  IN p_carrier_id BIGINT UNSIGNED,
  IN p_sip_code SMALLINT UNSIGNED,
  IN p_failed_ago_ms BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  -- Taken before the wait for the lock: `ago` was counted when the call was made.
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_live CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_cdr CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_outcome VARCHAR(32) DEFAULT 'recorded';

  CALL refuse_in_transaction('record_attempt');
  CALL check_key('record_attempt', p_call_key, v_key);
  IF p_ordinal IS NULL OR p_carrier_id IS NULL OR p_sip_code IS NULL OR p_failed_ago_ms IS NULL THEN
    CALL refuse(CONCAT('invalid_content: record_attempt of ', v_key, ' was not told which, where, why or when'));
  END IF;

  BEGIN
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

    -- In the order in which a call moves, so that it is found wherever it goes meanwhile. The CDR's lock keeps archive
    -- from taking it away without this attempt.
    SELECT call_key INTO v_live FROM live_call WHERE call_key = v_key;
    SELECT call_key INTO v_cdr FROM cdr WHERE call_key = v_key FOR UPDATE;
    IF v_live IS NOT NULL OR v_cdr IS NOT NULL THEN
      INSERT INTO attempt (call_key, ordinal, carrier_id, sip_code, failed_at)
      VALUES (v_key, p_ordinal, p_carrier_id, p_sip_code, v_now - INTERVAL p_failed_ago_ms * 1000 MICROSECOND);
    ELSEIF EXISTS (SELECT 1 FROM cdr_archive WHERE call_key = v_key) THEN
      INSERT INTO attempt_archive (call_key, ordinal, carrier_id, sip_code, failed_at)
      VALUES (v_key, p_ordinal, p_carrier_id, p_sip_code, v_now - INTERVAL p_failed_ago_ms * 1000 MICROSECOND);
    ELSE
      SET v_outcome = 'unknown_call';
    END IF;
    COMMIT;
  END;
  SELECT v_outcome AS outcome;
END
