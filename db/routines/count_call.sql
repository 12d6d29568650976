-- Counts an opened call in the hour's figures of those of its accounts that have such a limit. Their purses are
-- locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE count_call(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  INSERT INTO call_count (account_id, destination, hour, calls)
  SELECT live_leg.account_id, '', DATE_FORMAT(UTC_TIMESTAMP(), '%Y-%m-%d %H:00:00'), 1
    FROM live_leg STRAIGHT_JOIN account ON account.id = live_leg.account_id
   WHERE live_leg.call_key = p_key AND account.max_calls_per_hour IS NOT NULL
  UNION ALL
  SELECT live_leg.account_id, live_leg.destination, DATE_FORMAT(UTC_TIMESTAMP(), '%Y-%m-%d %H:00:00'), 1
    FROM live_leg STRAIGHT_JOIN account ON account.id = live_leg.account_id
   WHERE live_leg.call_key = p_key AND account.max_calls_per_hour_per_destination IS NOT NULL
     AND live_leg.destination <> ''
  ON DUPLICATE KEY UPDATE calls = call_count.calls + 1;
END
