-- The minute bundles that accounts have or had, with what is left, held and used in the period of now; period_from is
-- NULL until a call makes its counter. STRAIGHT_JOIN: few of an account are found by index.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_bundle AS
SELECT account_bundle.id AS account_bundle_id, account_bundle.account_id, account.name AS account_name,
       bundle.name AS bundle_name, bundle.period, bundle.priority, account_bundle.starts_at,
       NULLIF(account_bundle.ends_at, '9999-12-31 23:59:59') AS ends_at,
       counted.starts_at AS period_from, NULLIF(counted.ends_at, '9999-12-31 23:59:59') AS period_to,
       COALESCE(counted.granted_s, bundle.seconds) AS seconds, COALESCE(counted.used_s, 0) AS used_s,
       COALESCE(counted.held_s, 0) AS held_s,
       COALESCE(counted.granted_s - counted.used_s - counted.held_s, bundle.seconds) AS left_s
  FROM account_bundle
  STRAIGHT_JOIN bundle ON bundle.id = account_bundle.bundle_id
  STRAIGHT_JOIN account ON account.id = account_bundle.account_id
  LEFT JOIN bundle_period AS counted ON counted.account_bundle_id = account_bundle.id
   AND counted.starts_at <= UTC_TIMESTAMP() AND counted.ends_at > UTC_TIMESTAMP()
