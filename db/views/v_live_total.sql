-- Calls in progress and what they hold, by node, state and currency: for whoever watches. Names nobody.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_live_total AS
SELECT live_call.node, live_call.state, account.currency, CAST(SUM(live_leg.leg = 0) AS SIGNED) AS calls,
       SUM(live_leg.hold) AS held
  FROM live_call
  JOIN live_leg ON live_leg.call_key = live_call.call_key
  JOIN account ON account.id = live_leg.account_id
 GROUP BY live_call.node, live_call.state, account.currency
