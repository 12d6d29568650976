-- May the grant grow? 'extended', or the first reason against it, leg 0 first. The purses are locked. The number of
-- calls is not asked again: this one counts already. p_limited: some account has a day's spending limit. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE judge_extend(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_new_grant_s INT UNSIGNED,
  IN p_legs LONGTEXT,
  OUT p_outcome VARCHAR(32),
  OUT p_failed_leg TINYINT UNSIGNED,
  OUT p_limited BOOLEAN
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);
  DECLARE v_user BIGINT UNSIGNED;
  DECLARE v_limit_s INT UNSIGNED;
  DECLARE v_capped BOOLEAN;
  DECLARE v_first VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin;

  SELECT user_id, limit_s INTO v_user, v_limit_s FROM live_call WHERE call_key = p_key;
  IF p_new_grant_s > v_limit_s THEN
    CALL refuse(CONCAT('grant_too_long: call ', p_key, ' may last ', v_limit_s, ' s, not ', p_new_grant_s));
  END IF;
  IF JSON_LENGTH(p_legs) <> (SELECT COUNT(*) FROM live_leg WHERE call_key = p_key) THEN
    CALL refuse(CONCAT('invalid_content: extend_call of ', p_key, ' does not give each leg one hold'));
  END IF;

  WITH judged AS (
    SELECT live_leg.leg, account.daily_spend_limit IS NOT NULL AS limited,
           account.parent_hold_limit IS NOT NULL AS capped,
           CASE
             WHEN given.hold IS NULL OR given.hold < live_leg.hold THEN 'invalid_content'
             WHEN account.status <> 'active' THEN CONCAT('account_', account.status)
             WHEN account.expires_at <= v_now THEN 'account_expired'
             WHEN user.status <> 'active' THEN 'user_suspended'
             WHEN purse.balance + purse.credit_limit - purse.held + live_leg.hold < given.hold
                  THEN 'insufficient_balance'
             WHEN given.hold > live_leg.hold
                  AND IF(purse.spend_day = DATE(v_now), purse.spent, 0) + purse.held - live_leg.hold + given.hold
                    > account.daily_spend_limit THEN 'spending_limit'
           END AS refusal
      FROM live_leg
      STRAIGHT_JOIN account ON account.id = live_leg.account_id
      STRAIGHT_JOIN purse ON purse.account_id = live_leg.account_id
      LEFT JOIN user ON user.id = v_user AND live_leg.leg = 0
      LEFT JOIN JSON_TABLE(p_legs, '$[*]' COLUMNS (
        leg TINYINT UNSIGNED PATH '$.leg',
        hold DECIMAL(18,6) PATH '$.hold'
      )) AS given ON given.leg = live_leg.leg
     WHERE live_leg.call_key = p_key
  )
  SELECT MIN(CONCAT(leg, refusal)), MAX(limited), MAX(capped) -- a chain's leg is one digit
    INTO v_first, p_limited, v_capped
    FROM judged;
  SET p_failed_leg = LEFT(v_first, 1);
  SET p_outcome = SUBSTRING(v_first, 2);

  IF p_outcome = 'invalid_content' THEN
    CALL refuse(CONCAT('invalid_content: extend_call of ', p_key, ' lacks the hold of leg ', p_failed_leg,
                       ', or lowers it'));
  END IF;
  IF p_outcome IS NULL AND v_capped THEN
    CALL judge_parent_extend(p_key, p_legs, p_outcome, p_failed_leg);
  END IF;
  SET p_outcome = COALESCE(p_outcome, 'extended');
END
