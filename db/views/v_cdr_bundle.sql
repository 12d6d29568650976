-- What a call used of which minute bundle, on each leg.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_cdr_bundle AS
SELECT cdr_bundle.call_key, cdr_bundle.leg, cdr_bundle.place, account_bundle.account_id, account.name AS account_name,
       cdr_bundle.account_bundle_id, bundle.name AS bundle_name, cdr_bundle.starts_at AS period_from, cdr_bundle.used_s
  FROM cdr_bundle
  STRAIGHT_JOIN account_bundle ON account_bundle.id = cdr_bundle.account_bundle_id
  STRAIGHT_JOIN bundle ON bundle.id = account_bundle.bundle_id
  STRAIGHT_JOIN account ON account.id = account_bundle.account_id
