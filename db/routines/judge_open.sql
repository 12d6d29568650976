-- May the call of open_call start? 'opened' and the number of the highest step that every leg can pay, or the first
-- reason against it: all that is wrong with leg 0, then leg 1.., and at last the limits by day and hour, if some
-- account has one (p_limited; p_near: the call may bring it to 80 %), and what an account may hold of its parent's
-- money. The purses are locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE judge_open(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_content LONGTEXT,
  OUT p_outcome VARCHAR(32),
  OUT p_failed_leg TINYINT UNSIGNED,
  OUT p_step INT,
  OUT p_limited BOOLEAN,
  OUT p_near BOOLEAN
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);
  DECLARE v_user BIGINT UNSIGNED DEFAULT JSON_VALUE(p_content, '$.user');
  DECLARE v_user_calls INT;
  DECLARE v_capped BOOLEAN;
  DECLARE v_from INT DEFAULT 1;
  DECLARE v_first VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin;

  -- Whoever settled or recorded this key first wins: a call must not hold money after its CDR was written.
  IF EXISTS (SELECT 1 FROM cdr WHERE call_key = p_key) OR EXISTS (SELECT 1 FROM cdr_archive WHERE call_key = p_key) THEN
    SET p_outcome = 'call_ended';
  ELSE
    -- Exact without a lock of its own: every call of this user locks the purse of leg 0.
    SELECT COUNT(*) INTO v_user_calls FROM live_call WHERE user_id = v_user;

    WITH judged AS (
      SELECT given.leg - 1 AS leg,
             COALESCE(account.daily_spend_limit, account.max_calls_per_hour,
                      account.max_calls_per_hour_per_destination) IS NOT NULL AS limited,
             account.parent_hold_limit IS NOT NULL AS capped,
             CASE
               WHEN NOT (account.parent_id <=> JSON_VALUE(p_content, CONCAT('$.legs[', given.leg, '].account')))
                    THEN 'chain_changed'
               WHEN given.leg = 1 AND v_user IS NOT NULL AND NOT (user.account_id <=> account.id) THEN 'unknown_user'
               WHEN account.status <> 'active' THEN CONCAT('account_', account.status)
               WHEN account.expires_at <= v_now THEN 'account_expired'
               WHEN user.status <> 'active' THEN 'user_suspended'
               WHEN purse.calls >= account.max_calls THEN 'too_many_calls'
               WHEN purse.balance + purse.credit_limit - purse.held < account.low_balance
                    AND purse.calls >= account.low_balance_max_calls THEN 'too_many_calls'
               WHEN v_user_calls >= user.max_calls THEN 'too_many_calls'
               WHEN purse.balance + purse.credit_limit - purse.held < GREATEST(given.smallest, given.least)
                    THEN 'insufficient_balance'
             END AS refusal
        FROM JSON_TABLE(p_content, '$.legs[*]' COLUMNS (
               leg FOR ORDINALITY,
               account_id BIGINT UNSIGNED PATH '$.account',
               smallest DECIMAL(18,6) PATH '$.smallest',
               least DECIMAL(18,6) PATH '$.holds[last]'
             )) AS given
        STRAIGHT_JOIN account ON account.id = given.account_id
        STRAIGHT_JOIN purse ON purse.account_id = given.account_id
        LEFT JOIN user ON user.id = v_user AND given.leg = 1
    )
    SELECT MIN(CONCAT(leg, refusal)), MAX(limited), MAX(capped) -- a chain's leg is one digit
      INTO v_first, p_limited, v_capped
      FROM judged;
    SET p_failed_leg = LEFT(v_first, 1);
    SET p_outcome = SUBSTRING(v_first, 2);

    IF p_outcome = 'chain_changed' THEN
      CALL refuse(CONCAT('chain_changed: leg ', p_failed_leg, ' of call ', p_key, ' is not followed by its parent'));
    ELSEIF p_outcome = 'unknown_user' THEN
      CALL refuse(CONCAT('unknown_user: user ', v_user, ' does not belong to the account of call ', p_key));
    ELSEIF p_outcome IS NULL AND p_limited THEN
      CALL judge_limits(p_content, p_outcome, p_failed_leg, p_near);
    END IF;
    IF p_outcome IS NULL AND v_capped THEN
      CALL judge_parent_holds(p_content, p_outcome, p_failed_leg, v_from);
    END IF;
    IF p_outcome IS NULL THEN
      CALL choose_step(p_content, v_from, p_step);
      SET p_outcome = 'opened';
    END IF;
  END IF;
END
