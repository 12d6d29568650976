-- Raises the alarm of a limit that has refused a call (p_calls 1) or a renewal (0, which is asked again every second
-- and therefore written only once). Raised anew if somebody had acknowledged the warning before. The purse is locked.
-- Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE alarm_of_refusal(
  IN p_kind VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_account_id BIGINT UNSIGNED,
  IN p_destination VARCHAR(64),
  IN p_calls INT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);
  DECLARE v_hour DATETIME DEFAULT DATE_FORMAT(v_now, '%Y-%m-%d %H:00:00');
  DECLARE v_destination VARCHAR(64) DEFAULT IF(p_kind = 'hourly_destination_limit', p_destination, '');

  INSERT INTO alarm (
    account_id, kind, destination, since, limit_value, reached, first_at, last_at, times, refused, stopped_at
  )
  SELECT account.id, p_kind, v_destination, IF(p_kind = 'spending_limit', DATE(v_now), v_hour),
         CASE p_kind
           WHEN 'spending_limit' THEN account.daily_spend_limit
           WHEN 'hourly_limit' THEN account.max_calls_per_hour
           ELSE account.max_calls_per_hour_per_destination
         END,
         IF(p_kind = 'spending_limit', IF(purse.spend_day = DATE(v_now), purse.spent, 0) + purse.held,
            COALESCE(call_count.calls, 0)),
         v_now, v_now, 1, p_calls, v_now
    FROM account
    STRAIGHT_JOIN purse ON purse.account_id = account.id
    LEFT JOIN call_count ON call_count.account_id = account.id AND call_count.destination = v_destination
     AND call_count.hour = v_hour
   WHERE account.id = p_account_id
  ON DUPLICATE KEY UPDATE
    limit_value = VALUES(limit_value),
    reached = GREATEST(alarm.reached, VALUES(reached)),
    last_at = IF(p_calls > 0 OR alarm.stopped_at IS NULL, v_now, alarm.last_at),
    times = alarm.times + p_calls,
    refused = alarm.refused + p_calls,
    acknowledged_at = IF(alarm.stopped_at IS NULL, NULL, alarm.acknowledged_at),
    stopped_at = COALESCE(alarm.stopped_at, v_now); -- last: the two above look at what it was
END
