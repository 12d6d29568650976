-- For a number: the prefixes of the bundles that accounts have now or will have, with the counter of now (NULL: the
-- period has no call yet). Of each account_bundle the longest prefix that fits decides.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_bundle_prefix AS
SELECT account_bundle.id AS account_bundle_id, account_bundle.account_id, bundle.name AS bundle_name, bundle.seconds,
       bundle.period, bundle.priority, bundle_prefix.prefix, bundle_prefix.excluded, account_bundle.starts_at,
       account_bundle.ends_at, counted.starts_at AS counted_from, counted.ends_at AS counted_to,
       COALESCE(counted.granted_s - counted.used_s - counted.held_s, bundle.seconds) AS left_s
  FROM account_bundle
  STRAIGHT_JOIN bundle ON bundle.id = account_bundle.bundle_id
  STRAIGHT_JOIN bundle_prefix ON bundle_prefix.bundle_id = bundle.id
  LEFT JOIN bundle_period AS counted ON counted.account_bundle_id = account_bundle.id
   AND counted.starts_at <= UTC_TIMESTAMP() AND counted.ends_at > UTC_TIMESTAMP()
 WHERE account_bundle.ends_at > UTC_TIMESTAMP()
