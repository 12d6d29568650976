-- Lengthens a call's grant from p_old_grant_s to p_new_grant_s seconds. p_legs: [{"leg":0,"hold":"2.4"}, ..], the new
-- holds in absolute figures, so that a repeated call changes nothing. Status, expiry, the day's spending limit and what
-- an account may hold of its parent's money are checked again on each level. A leg whose minute bundles may pay for
-- more of the call has offers beside its hold ([[seconds, hold], ..], absolute too): the one counts whose seconds are
-- left, the most of them.
--
-- Answers a row a leg: outcome ('extended', 'stale' when the grant is not the old one, 'settled', 'unknown_call', or
-- why not), failed_leg, and what is true now: grant_s, leg, account_id, hold, available.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE extend_call(
  IN p_call_key LONGTEXT,
  IN p_old_grant_s INT UNSIGNED,
  IN p_new_grant_s INT UNSIGNED,
  IN p_legs LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_accounts LONGTEXT;
  DECLARE v_outcome VARCHAR(32);
  DECLARE v_failed_leg TINYINT UNSIGNED;
  DECLARE v_limited BOOLEAN;
  DECLARE v_grant_s INT UNSIGNED;
  DECLARE v_legs LONGTEXT;
  DECLARE v_priced LONGTEXT DEFAULT p_legs;

  CALL refuse_in_transaction('extend_call');
  CALL check_key('extend_call', p_call_key, v_key);
  CALL check_extend_content(v_key, p_old_grant_s, p_new_grant_s, p_legs);

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;

    -- Read before the locks, because it says what to lock: the accounts of a call never change.
    SELECT JSON_ARRAYAGG(account_id) INTO v_accounts FROM live_leg WHERE call_key = v_key;
    IF v_accounts IS NOT NULL THEN
      CALL lock_purses(v_accounts);
      SELECT grant_s INTO v_grant_s FROM live_call WHERE call_key = v_key FOR UPDATE;
    END IF;

    IF v_grant_s IS NULL THEN
      SET v_outcome = IF(EXISTS (SELECT 1 FROM cdr WHERE call_key = v_key)
                         OR EXISTS (SELECT 1 FROM cdr_archive WHERE call_key = v_key), 'settled', 'unknown_call');
    ELSEIF v_grant_s = p_new_grant_s THEN
      SET v_outcome = 'extended';
    ELSEIF v_grant_s <> p_old_grant_s THEN
      SET v_outcome = 'stale';
    ELSE
      IF JSON_EXISTS(p_legs, '$[*].offers') THEN
        CALL price_extend(v_key, p_legs, v_priced);
      END IF;
      CALL judge_extend(v_key, p_new_grant_s, v_priced, v_outcome, v_failed_leg, v_limited);
      IF v_outcome = 'extended' THEN
        CALL write_extend(v_key, p_new_grant_s, v_priced);
        IF JSON_EXISTS(v_priced, '$[*].covered') THEN
          CALL hold_bundles(v_key, v_priced);
        END IF;
        SET v_grant_s = p_new_grant_s;
        IF v_limited THEN
          CALL warn_of_spending(v_key);
        END IF;
      ELSEIF v_outcome = 'spending_limit' THEN
        CALL alarm_of_refusal(v_outcome, (SELECT account_id FROM live_leg WHERE call_key = v_key AND leg = v_failed_leg),
                              '', 0);
      END IF;
    END IF;

    SELECT JSON_ARRAYAGG(JSON_OBJECT('leg', live_leg.leg, 'account_id', live_leg.account_id, 'hold', live_leg.hold,
                                     'available', purse.balance + purse.credit_limit - purse.held))
      INTO v_legs
      FROM live_leg STRAIGHT_JOIN purse ON purse.account_id = live_leg.account_id
     WHERE live_leg.call_key = v_key;
    COMMIT;
  END;
  CALL show_grant(v_outcome, v_failed_leg, v_grant_s, v_legs);
END
