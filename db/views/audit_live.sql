-- A live call has its legs, numbered from 0, the first on its own account; a leg has its call; none has a CDR yet.
-- Internal.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW audit_live AS
SELECT 'legs_of_call' AS what, live_call.call_key AS id, COALESCE(MAX(live_leg.leg) + 1, 1) AS expected,
       COUNT(live_leg.leg) AS actual
  FROM live_call LEFT JOIN live_leg ON live_leg.call_key = live_call.call_key
 GROUP BY live_call.call_key
HAVING COALESCE(MAX(live_leg.leg) + 1, 1) <> COUNT(live_leg.leg)
UNION ALL
SELECT 'account_of_call', live_call.call_key, live_leg.account_id, live_call.account_id
  FROM live_call JOIN live_leg ON live_leg.call_key = live_call.call_key AND live_leg.leg = 0
 WHERE live_leg.account_id <> live_call.account_id
UNION ALL
SELECT 'leg_without_call', live_leg.call_key, 0, COUNT(*)
  FROM live_leg LEFT JOIN live_call ON live_call.call_key = live_leg.call_key
 WHERE live_call.call_key IS NULL
 GROUP BY live_leg.call_key
UNION ALL
SELECT 'live_and_settled', live_call.call_key, 1, 2
  FROM live_call JOIN cdr ON cdr.call_key = live_call.call_key
UNION ALL
SELECT 'live_and_settled', live_call.call_key, 1, 2
  FROM live_call JOIN cdr_archive ON cdr_archive.call_key = live_call.call_key
