-- Legs of calls in progress, with what their accounts have available now. capped_child_id: the account of the leg below,
-- if what it may hold here is limited (v_parent_hold).
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_live_leg AS
SELECT live_leg.call_key, live_leg.leg, live_leg.account_id, account.name AS account_name, account.status,
       live_leg.tariff_id, live_leg.rate_id, live_leg.destination, live_leg.rate, live_leg.hold, live_leg.covered_s,
       purse.balance + purse.credit_limit - purse.held AS available,
       IF(child_account.parent_hold_limit IS NULL, NULL, child_account.id) AS capped_child_id
  FROM live_leg
  STRAIGHT_JOIN account ON account.id = live_leg.account_id
  STRAIGHT_JOIN purse ON purse.account_id = live_leg.account_id
  LEFT JOIN live_leg AS child ON child.call_key = live_leg.call_key AND child.leg + 1 = live_leg.leg
  LEFT JOIN account AS child_account ON child_account.id = child.account_id
