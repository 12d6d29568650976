-- Reserves the first grant of a call on every leg of its chain, all or nothing (docs/architecture.md, A call).
--
-- p_content is JSON: node, user, caller, callee, dialled, source, sip_call_id, sip_from_tag, rated_at, limit_s,
-- ring_limit_s, steps (grants in seconds, longest first) and legs, the caller's account first and then each parent:
-- account, tariff, rate_id, destination, rate, holds (one a step) and smallest (the least that any call costs). Also
-- shown, the number that carriers are shown, and, if a carrier has a tariff, routes: what each asks, by its id.
--
-- With `bundled` some legs may use minute bundles: they have bundles, in the order of their use ([{"id":7, "from":..,
-- "to":..}, ..], the id of account_bundle and its period), and offers, for each step ([[seconds, hold], ..]). Of a step
-- the offer counts whose seconds are left, the most of them; its hold takes the place of the one in holds.
--
-- Answers one row a leg: outcome ('opened', or why not), failed_leg, grant_s, leg, account_id, hold, and what was
-- available before. The same key gives the stored answer; with other content it is an error; a refusal is not stored.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE open_call(
  IN p_call_key LONGTEXT,
  IN p_content LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT SHA2(p_content, 256);
  DECLARE v_stored_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_outcome VARCHAR(32);
  DECLARE v_failed_leg TINYINT UNSIGNED;
  DECLARE v_grant_s INT UNSIGNED;
  DECLARE v_step INT;
  DECLARE v_limited BOOLEAN;
  DECLARE v_near BOOLEAN;
  DECLARE v_legs LONGTEXT;
  DECLARE v_bundled BOOLEAN DEFAULT FALSE;
  DECLARE v_priced LONGTEXT DEFAULT p_content;

  CALL refuse_in_transaction('open_call');
  CALL check_key('open_call', p_call_key, v_key);
  CALL check_open_content(p_content);
  IF JSON_EXISTS(p_content, '$.bundled') THEN
    SET v_bundled = TRUE;
    CALL check_open_bundles(p_content);
  END IF;

  BEGIN
    -- The same content has the same purses and waited for their locks, so a key that appears only now has other
    -- content.
    DECLARE EXIT HANDLER FOR 1062
    BEGIN
      ROLLBACK;
      CALL refuse(CONCAT('key_conflict: call ', v_key, ' was opened with other content'));
    END;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL lock_purses(JSON_EXTRACT(p_content, '$.legs[*].account'));

    SELECT content_hash, grant_s INTO v_stored_hash, v_grant_s FROM live_call WHERE call_key = v_key FOR UPDATE;
    IF v_stored_hash <> v_hash THEN
      CALL refuse(CONCAT('key_conflict: call ', v_key, ' was opened with other content'));
    ELSEIF v_stored_hash IS NOT NULL THEN
      SET v_outcome = 'opened';
    ELSE
      IF v_bundled THEN
        CALL price_open(p_content, v_priced);
      END IF;
      CALL judge_open(v_key, v_priced, v_outcome, v_failed_leg, v_step, v_limited, v_near);
      IF v_outcome = 'opened' THEN
        CALL write_open(v_key, v_priced, v_hash, v_step, v_grant_s);
        IF v_bundled THEN
          CALL write_bundles(v_key, v_priced, v_step);
        END IF;
        IF v_limited THEN
          CALL count_call(v_key);
        END IF;
        IF v_near THEN
          CALL warn_of_calls(v_key);
          CALL warn_of_spending(v_key);
        END IF;
      ELSEIF v_outcome IN ('spending_limit', 'hourly_limit', 'hourly_destination_limit') THEN
        CALL alarm_of_refusal(v_outcome, JSON_VALUE(p_content, CONCAT('$.legs[', v_failed_leg, '].account')),
                              JSON_VALUE(p_content, CONCAT('$.legs[', v_failed_leg, '].destination')), 1);
      END IF;
    END IF;

    CALL open_answer(v_key, p_content, v_legs);
    COMMIT;
  END;
  CALL show_grant(v_outcome, v_failed_leg, v_grant_s, v_legs);
END
