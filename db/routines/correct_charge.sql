-- Corrects what one leg of a call was charged: a further entry over the difference, of kind correction, whose key is
-- made of the call's and the run's, so that a repetition does nothing. The leg keeps its charge and shows the corrected
-- one. p_old_charge is what it comes to now; the next re-rating builds on this. A debit that leaves less than nothing
-- available is refused unless p_force, as in adjust. A reason must be given; p_rate (JSON) is the rate of the new charge.
--
-- Answers one row: outcome ('corrected', 'already', or 'stale': it does not come to p_old_charge any more, or its truth
-- is not known yet), account_id, amount, balance, available; the last three are NULL when stale.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE correct_charge(
  IN p_run_key LONGTEXT,
  IN p_call_key LONGTEXT,
  IN p_leg TINYINT UNSIGNED,
  IN p_old_charge LONGTEXT,
  IN p_new_charge LONGTEXT,
  IN p_rate_id BIGINT UNSIGNED,
  IN p_rate LONGTEXT,
  IN p_actor VARCHAR(64),
  IN p_reason VARCHAR(255),
  IN p_force BOOLEAN
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_what VARCHAR(64);
  DECLARE v_run_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_entry_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_old DECIMAL(18,6);
  DECLARE v_new DECIMAL(18,6);
  DECLARE v_account_id BIGINT UNSIGNED;
  DECLARE v_outcome VARCHAR(32);

  CALL refuse_in_transaction('correct_charge');
  CALL check_key('correct_charge', p_run_key, v_run_key);
  CALL check_key('correct_charge', p_call_key, v_call_key);
  SET v_what = CONCAT('leg ', COALESCE(p_leg, 'NULL'), ' of call ', v_call_key);
  CALL check_amount(v_what, p_old_charge, v_old);
  CALL check_amount(v_what, p_new_charge, v_new);
  IF TRIM(COALESCE(p_actor, '')) = '' OR TRIM(COALESCE(p_reason, '')) = '' THEN
    CALL refuse(CONCAT('invalid_content: the correction of ', v_what, ' names no actor, or no reason'));
  END IF;
  IF NOT COALESCE(JSON_VALID(p_rate), FALSE) THEN
    CALL refuse(CONCAT('invalid_content: the rate of the correction of ', v_what, ' is no JSON'));
  END IF;

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    -- Read before the lock, because it says what to lock: the account of a leg never changes.
    SELECT account_id INTO v_account_id FROM cdr_leg WHERE call_key = v_call_key AND leg = p_leg;
    IF v_account_id IS NULL AND EXISTS (SELECT 1 FROM cdr_archive WHERE call_key = v_call_key) THEN
      CALL refuse(CONCAT('call_archived: call ', v_call_key, ' is archived, and not corrected any more'));
    END IF;
    IF v_account_id IS NULL THEN
      CALL refuse(CONCAT('unknown_call: there is no ', v_what, ' that ended'));
    END IF;
    CALL lock_purses(JSON_ARRAY(v_account_id));
    CALL judge_correction(v_run_key, v_call_key, p_leg, v_old, v_new, v_outcome);
    IF v_outcome = 'corrected' THEN
      CALL check_movable('correction', v_account_id, NULL);
      CALL correction_key(v_run_key, v_call_key, p_leg, v_entry_key);
      CALL post_entry(v_entry_key, v_account_id, 'correction', v_old - v_new, p_actor, p_reason, v_call_key,
                      COALESCE(p_force, FALSE));
      INSERT INTO correction (
        call_key, leg, run_key, account_id, entry_key, old_charge, new_charge, rate_id, rate, created_at
      ) VALUES (
        v_call_key, p_leg, v_run_key, v_account_id, v_entry_key, v_old, v_new, p_rate_id, p_rate, UTC_TIMESTAMP(6)
      );
      UPDATE cdr_leg SET corrected_charge = v_new WHERE call_key = v_call_key AND leg = p_leg;
      UPDATE cdr SET position = 0 WHERE call_key = v_call_key; -- so that the export publishes it again
    END IF;
    COMMIT;
  END;

  SELECT v_outcome AS outcome, v_account_id AS account_id, entry.amount, entry.balance_after AS balance,
         entry.available_after AS available
    FROM (SELECT 1) AS one
    LEFT JOIN correction ON correction.call_key = v_call_key AND correction.leg = p_leg
     AND correction.run_key = v_run_key AND v_outcome <> 'stale'
    LEFT JOIN entry ON entry.entry_key = correction.entry_key AND entry.account_id = correction.account_id
     AND entry.kind = 'correction';
END
