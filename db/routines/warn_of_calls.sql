-- Raises the alarm for every account of a call just counted that has opened 80 % of an hour's calls. The purses are
-- locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE warn_of_calls(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);
  DECLARE v_hour DATETIME DEFAULT DATE_FORMAT(v_now, '%Y-%m-%d %H:00:00');

  INSERT INTO alarm (account_id, kind, destination, since, limit_value, reached, first_at, last_at, times)
  SELECT account.id, 'hourly_limit', '', v_hour, account.max_calls_per_hour, call_count.calls, v_now, v_now, 1
    FROM live_leg
    STRAIGHT_JOIN account ON account.id = live_leg.account_id
    STRAIGHT_JOIN call_count ON call_count.account_id = account.id AND call_count.destination = ''
     AND call_count.hour = v_hour
   WHERE live_leg.call_key = p_key AND call_count.calls >= account.max_calls_per_hour * 0.8
  UNION ALL
  SELECT account.id, 'hourly_destination_limit', live_leg.destination, v_hour,
         account.max_calls_per_hour_per_destination, call_count.calls, v_now, v_now, 1
    FROM live_leg
    STRAIGHT_JOIN account ON account.id = live_leg.account_id
    STRAIGHT_JOIN call_count ON call_count.account_id = account.id AND call_count.destination = live_leg.destination
     AND call_count.hour = v_hour
   WHERE live_leg.call_key = p_key AND live_leg.destination <> ''
     AND call_count.calls >= account.max_calls_per_hour_per_destination * 0.8
  ON DUPLICATE KEY UPDATE
    limit_value = VALUES(limit_value), reached = GREATEST(alarm.reached, VALUES(reached)), last_at = v_now,
    times = alarm.times + 1;
END
