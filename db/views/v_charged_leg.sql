-- What each leg of a call that is over comes to, with what it takes to work it out again. comes_to: the last correction,
-- or the charge.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_charged_leg AS
SELECT cdr_leg.call_key, cdr_leg.leg, cdr_leg.account_id, account.name AS account_name, account.currency,
       cdr_leg.tariff_id, cdr_leg.destination, cdr.callee, cdr.rated_at, cdr.grant_s, cdr.billed_s, cdr.provisional,
       cdr_leg.bundle_s, cdr_leg.charge, COALESCE(cdr_leg.corrected_charge, cdr_leg.charge) AS comes_to
  FROM cdr_leg
  STRAIGHT_JOIN cdr ON cdr.call_key = cdr_leg.call_key
  STRAIGHT_JOIN account ON account.id = cdr_leg.account_id
