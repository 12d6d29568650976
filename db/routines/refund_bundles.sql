-- Gives minute bundles back what a provisional CDR had used beyond its legs' bundle_s, as it is true now. It goes back
-- to the period that it came from; if that is over it lapses there. Purses and CDR are locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE refund_bundles(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_used LONGTEXT;

  -- As JSON, because an UPDATE of several tables assigns in no certain order.
  SELECT JSON_ARRAYAGG(JSON_OBJECT('leg', leg, 'place', place, 'back', used_s - true_s, 'used', true_s)) INTO v_used
    FROM (
      SELECT leg, place, used_s, LEAST(held_s, GREATEST(0, bundle_s - before_s)) AS true_s
        FROM (
          SELECT cdr_bundle.leg, cdr_bundle.place, CAST(cdr_bundle.used_s AS SIGNED) AS used_s, cdr_bundle.held_s,
                 CAST(cdr_leg.bundle_s AS SIGNED) AS bundle_s,
                 COALESCE(SUM(cdr_bundle.held_s) OVER (PARTITION BY cdr_bundle.leg ORDER BY cdr_bundle.place
                                                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before_s
            FROM cdr_bundle
            STRAIGHT_JOIN cdr_leg ON cdr_leg.call_key = cdr_bundle.call_key AND cdr_leg.leg = cdr_bundle.leg
           WHERE cdr_bundle.call_key = p_key
        ) AS held
    ) AS known;

  UPDATE JSON_TABLE(COALESCE(v_used, '[]'), '$[*]' COLUMNS (
           leg TINYINT UNSIGNED PATH '$.leg',
           place TINYINT UNSIGNED PATH '$.place',
           back INT PATH '$.back',
           used INT UNSIGNED PATH '$.used'
         )) AS known
         STRAIGHT_JOIN cdr_bundle FORCE INDEX (PRIMARY)
            ON cdr_bundle.call_key = p_key AND cdr_bundle.leg = known.leg AND cdr_bundle.place = known.place
         STRAIGHT_JOIN bundle_period FORCE INDEX (PRIMARY)
            ON bundle_period.account_bundle_id = cdr_bundle.account_bundle_id
           AND bundle_period.starts_at = cdr_bundle.starts_at
     SET cdr_bundle.used_s = known.used,
         bundle_period.used_s = bundle_period.used_s - known.back;
END
