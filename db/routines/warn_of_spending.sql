-- Raises the alarm for every account of a live call that has 80 % of its day's spending limit charged or held. The
-- purses are locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE warn_of_spending(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);

  INSERT INTO alarm (account_id, kind, since, limit_value, reached, first_at, last_at, times)
  SELECT near.account_id, 'spending_limit', DATE(v_now), near.daily_spend_limit, near.spending, v_now, v_now, 1
    FROM (
      SELECT purse.account_id, account.daily_spend_limit,
             IF(purse.spend_day = DATE(v_now), purse.spent, 0) + purse.held AS spending
        FROM live_leg
        STRAIGHT_JOIN account ON account.id = live_leg.account_id
        STRAIGHT_JOIN purse ON purse.account_id = live_leg.account_id
       WHERE live_leg.call_key = p_key
    ) AS near
   WHERE near.spending >= near.daily_spend_limit * 0.8
  ON DUPLICATE KEY UPDATE
    limit_value = VALUES(limit_value), reached = GREATEST(alarm.reached, VALUES(reached)), last_at = v_now,
    times = alarm.times + 1;
END
