-- What is held and used of a bundle's period is that of its calls, and not more than was granted; what a leg holds or
-- used is that of its bundles. Legs of CDRs are looked up by account, where the account ever had a bundle; what is
-- archived is not looked at again. Internal.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW audit_bundle AS
WITH counters AS (
  SELECT account_bundle_id, starts_at, granted_s, held_s, used_s, 0 AS calls_held_s, 0 AS calls_used_s
    FROM bundle_period
  UNION ALL
  SELECT account_bundle_id, starts_at, 0, 0, 0, held_s, 0 FROM live_bundle
  UNION ALL
  SELECT account_bundle_id, starts_at, 0, 0, 0, 0, SUM(used_s) FROM cdr_bundle GROUP BY account_bundle_id, starts_at
), sums AS (
  -- The collation is named because MariaDB 11 gives a cast another one than the columns have.
  SELECT CAST(account_bundle_id AS CHAR(26) CHARACTER SET ascii) COLLATE ascii_bin AS id,
         SUM(granted_s) AS granted_s, SUM(held_s) AS held_s, SUM(used_s) AS used_s,
         SUM(calls_held_s) AS calls_held_s, SUM(calls_used_s) AS calls_used_s
    FROM counters
   GROUP BY account_bundle_id, starts_at
)
SELECT 'bundle_held' AS what, id, calls_held_s AS expected, held_s AS actual FROM sums WHERE calls_held_s <> held_s
UNION ALL
SELECT 'bundle_used', id, calls_used_s, used_s FROM sums WHERE calls_used_s <> used_s
UNION ALL
SELECT 'bundle_granted', id, granted_s, held_s + used_s FROM sums WHERE granted_s < held_s + used_s
UNION ALL
SELECT 'bundle_of_leg', call_key, SUM(held_s), SUM(covered_s)
  FROM (
    SELECT call_key, leg, held_s, 0 AS covered_s FROM live_bundle
    UNION ALL
    SELECT call_key, leg, 0, covered_s FROM live_leg WHERE covered_s > 0
  ) AS live_sides
 GROUP BY call_key, leg
HAVING SUM(held_s) <> SUM(covered_s)
UNION ALL
SELECT 'bundle_of_cdr', call_key, SUM(used_s), SUM(bundle_s)
  FROM (
    SELECT call_key, leg, used_s, 0 AS bundle_s
      FROM cdr_bundle
     WHERE NOT EXISTS (SELECT 1 FROM cdr_leg_archive AS archived
                        WHERE archived.call_key = cdr_bundle.call_key AND archived.leg = cdr_bundle.leg)
    UNION ALL
    SELECT cdr_leg.call_key, cdr_leg.leg, 0, cdr_leg.bundle_s
      FROM (SELECT DISTINCT account_id FROM account_bundle) AS owners
      STRAIGHT_JOIN cdr_leg ON cdr_leg.account_id = owners.account_id AND cdr_leg.bundle_s > 0
  ) AS sides
 GROUP BY call_key, leg
HAVING SUM(used_s) <> SUM(bundle_s)
UNION ALL
SELECT DISTINCT 'bundle_flag', CAST(account.id AS CHAR(26) CHARACTER SET ascii) COLLATE ascii_bin, 1, 0
  FROM account_bundle
  STRAIGHT_JOIN account ON account.id = account_bundle.account_id
 WHERE account_bundle.ends_at > UTC_TIMESTAMP() AND NOT account.has_bundles
