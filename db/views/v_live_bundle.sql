-- The minute bundles that legs of calls in progress may use, and what each has left beyond what calls hold.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_live_bundle AS
SELECT live_bundle.call_key, live_bundle.leg, live_bundle.place, live_bundle.account_bundle_id,
       live_bundle.starts_at AS period_from, live_bundle.held_s,
       bundle_period.granted_s - bundle_period.used_s - bundle_period.held_s AS left_s
  FROM live_bundle
  STRAIGHT_JOIN bundle_period ON bundle_period.account_bundle_id = live_bundle.account_bundle_id
   AND bundle_period.starts_at = live_bundle.starts_at
