-- What re-ratings changed about calls, run by run, and the rate that each found.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_correction AS
SELECT correction.run_key, correction.call_key, correction.leg, correction.account_id, account.name AS account_name,
       account.currency, correction.entry_key, correction.old_charge, correction.new_charge, correction.rate_id,
       correction.rate, correction.created_at
  FROM correction
  STRAIGHT_JOIN account ON account.id = correction.account_id
