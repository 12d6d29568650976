-- Who earned what with a call: a row for each account that was charged. seller: who sold it to that account, NULL for the
-- vendor; cost: what the seller paid for the same call, his own charge or the carrier's; margin: the difference, NULL
-- unless both are known and in one currency. After corrections, if there were any.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_margin AS
SELECT cdr.call_key, cdr.ended_at, cdr.billed_s, cdr.talked_ms, cdr.provisional, leg.leg, leg.account_id,
       account.name AS account_name, leg.destination, account.currency,
       COALESCE(leg.corrected_charge, leg.charge) AS charge, upper_leg.account_id AS seller_id,
       seller.name AS seller_name, cdr.carrier_id, carrier.name AS carrier_name,
       IF(upper_leg.leg IS NULL, cdr.carrier_currency, seller.currency) AS cost_currency,
       IF(upper_leg.leg IS NULL, cdr.carrier_cost, COALESCE(upper_leg.corrected_charge, upper_leg.charge)) AS cost,
       CASE
         WHEN upper_leg.leg IS NULL AND cdr.carrier_currency = account.currency
              THEN COALESCE(leg.corrected_charge, leg.charge) - cdr.carrier_cost
         WHEN seller.currency = account.currency
              THEN COALESCE(leg.corrected_charge, leg.charge) - COALESCE(upper_leg.corrected_charge, upper_leg.charge)
       END AS margin
  FROM cdr
  JOIN cdr_leg AS leg ON leg.call_key = cdr.call_key
  JOIN account ON account.id = leg.account_id
  LEFT JOIN cdr_leg AS upper_leg ON upper_leg.call_key = leg.call_key AND upper_leg.leg = leg.leg + 1
  LEFT JOIN account AS seller ON seller.id = upper_leg.account_id
  LEFT JOIN carrier ON carrier.id = cdr.carrier_id
