-- What is held of an account, and its calls in progress, are those of its live legs. Internal.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW audit_hold AS
WITH sides AS (
  SELECT account_id, 0 AS leg_holds, 0 AS legs, held, CAST(calls AS SIGNED) AS calls FROM purse
  UNION ALL
  SELECT account_id, hold, 1, 0, 0 FROM live_leg
)
SELECT 'held' AS what, account_id AS id, SUM(leg_holds) AS expected, SUM(held) AS actual
  FROM sides GROUP BY account_id HAVING SUM(leg_holds) <> SUM(held)
UNION ALL
SELECT 'calls', account_id, SUM(legs), SUM(calls)
  FROM sides GROUP BY account_id HAVING SUM(legs) <> SUM(calls)
