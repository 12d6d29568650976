-- What each account of a call's chain was charged, and at which rate; corrected_charge: what a re-rating made of it.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_cdr_leg AS
SELECT cdr_leg.call_key, cdr_leg.leg, cdr_leg.account_id, account.name AS account_name, account.currency,
       cdr_leg.tariff_id, cdr_leg.rate_id, cdr_leg.destination, cdr_leg.rate, cdr_leg.hold, cdr_leg.charge,
       cdr_leg.corrected_charge, cdr_leg.balance_after, cdr_leg.bundle_s
  FROM cdr_leg
  STRAIGHT_JOIN account ON account.id = cdr_leg.account_id
