-- A row for each level of each call, archived or not, for reports: who bought, who sold, what the buyer paid and what
-- the seller paid for it, to whom he buys from in turn. Level 1 is sold by the vendor (seller NULL; he pays the
-- carrier, and cost is NULL where that is not known in this currency), level 2 by an account of level 1.. A call that
-- was refused before it was opened has no level. After corrections. Ask for a period of ended_at.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_traffic AS
SELECT cdr.ended_at, cdr.call_key, cdr.result, cdr.talked_ms, cdr.billed_s, cdr.carrier_id, carrier.name AS carrier_name,
       (SELECT MAX(leg) FROM cdr_leg AS top WHERE top.call_key = cdr.call_key) - bought.leg + 1 AS level,
       buyer.id AS buyer_id, buyer.name AS buyer_name, seller.id AS seller_id, seller.name AS seller_name,
       buyer.currency, bought.destination, COALESCE(bought.corrected_charge, bought.charge, 0) AS revenue,
       CASE
         WHEN bought.leg IS NULL OR resold.leg IS NOT NULL THEN COALESCE(resold.corrected_charge, resold.charge)
         WHEN cdr.carrier_currency = buyer.currency THEN cdr.carrier_cost
         WHEN cdr.carrier_cost IS NULL AND cdr.talked_ms = 0 THEN 0
       END AS cost
  FROM cdr
  LEFT JOIN cdr_leg AS bought ON bought.call_key = cdr.call_key
  LEFT JOIN cdr_leg AS resold ON resold.call_key = bought.call_key AND resold.leg = bought.leg + 1
  STRAIGHT_JOIN account AS buyer ON buyer.id = COALESCE(bought.account_id, cdr.account_id)
  LEFT JOIN account AS seller ON seller.id = resold.account_id
  LEFT JOIN carrier ON carrier.id = cdr.carrier_id
UNION ALL
SELECT cdr.ended_at, cdr.call_key, cdr.result, cdr.talked_ms, cdr.billed_s, cdr.carrier_id, carrier.name,
       (SELECT MAX(leg) FROM cdr_leg_archive AS top WHERE top.call_key = cdr.call_key) - bought.leg + 1,
       buyer.id, buyer.name, seller.id, seller.name,
       buyer.currency, bought.destination, COALESCE(bought.corrected_charge, bought.charge, 0),
       CASE
         WHEN bought.leg IS NULL OR resold.leg IS NOT NULL THEN COALESCE(resold.corrected_charge, resold.charge)
         WHEN cdr.carrier_currency = buyer.currency THEN cdr.carrier_cost
         WHEN cdr.carrier_cost IS NULL AND cdr.talked_ms = 0 THEN 0
       END
  FROM cdr_archive AS cdr
  LEFT JOIN cdr_leg_archive AS bought ON bought.call_key = cdr.call_key
  LEFT JOIN cdr_leg_archive AS resold ON resold.call_key = bought.call_key AND resold.leg = bought.leg + 1
  STRAIGHT_JOIN account AS buyer ON buyer.id = COALESCE(bought.account_id, cdr.account_id)
  LEFT JOIN account AS seller ON seller.id = resold.account_id
  LEFT JOIN carrier ON carrier.id = cdr.carrier_id
