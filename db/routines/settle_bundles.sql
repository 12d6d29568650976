-- Turns the minute bundles that a call holds into what it used, as its CDR's legs say it (bundle_s), in the order of
-- their use; the rest is free again in its period. Purses and call are locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE settle_bundles(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  INSERT INTO cdr_bundle (call_key, leg, place, account_bundle_id, starts_at, held_s, used_s)
  SELECT call_key, leg, place, account_bundle_id, starts_at, held_s, LEAST(held_s, GREATEST(0, bundle_s - before_s))
    FROM (
      SELECT live_bundle.call_key, live_bundle.leg, live_bundle.place, live_bundle.account_bundle_id,
             live_bundle.starts_at, live_bundle.held_s, CAST(cdr_leg.bundle_s AS SIGNED) AS bundle_s,
             COALESCE(SUM(live_bundle.held_s) OVER (PARTITION BY live_bundle.leg ORDER BY live_bundle.place
                                                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before_s
        FROM live_bundle
        STRAIGHT_JOIN cdr_leg ON cdr_leg.call_key = live_bundle.call_key AND cdr_leg.leg = live_bundle.leg
       WHERE live_bundle.call_key = p_key
    ) AS held
   WHERE held_s > 0;

  UPDATE cdr_bundle FORCE INDEX (PRIMARY)
         STRAIGHT_JOIN bundle_period FORCE INDEX (PRIMARY)
            ON bundle_period.account_bundle_id = cdr_bundle.account_bundle_id
           AND bundle_period.starts_at = cdr_bundle.starts_at
     SET bundle_period.held_s = bundle_period.held_s - cdr_bundle.held_s,
         bundle_period.used_s = bundle_period.used_s + cdr_bundle.used_s
   WHERE cdr_bundle.call_key = p_key;

  DELETE FROM live_bundle WHERE call_key = p_key;
END
