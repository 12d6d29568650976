-- Lets legs of a live call hold seconds of their minute bundles up to `covered`, in the order of their use. p_legs: a
-- JSON array of {leg, covered}. The purses are locked, and so many seconds are left. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE hold_bundles(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_legs LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_takes LONGTEXT;

  -- Each bundle gives what those before it do not. As JSON, because an UPDATE of several tables assigns in no certain
  -- order.
  SELECT JSON_ARRAYAGG(JSON_OBJECT('leg', leg, 'place', place, 'take', LEAST(left_s, wanted_s - before_s)))
    INTO v_takes
    FROM (
      SELECT live_bundle.leg, live_bundle.place,
             CAST(given.covered AS SIGNED) - live_leg.covered_s AS wanted_s,
             CAST(bundle_period.granted_s AS SIGNED) - bundle_period.used_s - bundle_period.held_s AS left_s,
             COALESCE(SUM(CAST(bundle_period.granted_s AS SIGNED) - bundle_period.used_s - bundle_period.held_s)
                        OVER (PARTITION BY live_bundle.leg ORDER BY live_bundle.place
                              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before_s
        FROM JSON_TABLE(p_legs, '$[*]' COLUMNS (
               leg TINYINT UNSIGNED PATH '$.leg',
               covered INT UNSIGNED PATH '$.covered'
             )) AS given
        STRAIGHT_JOIN live_leg ON live_leg.call_key = p_key AND live_leg.leg = given.leg
        STRAIGHT_JOIN live_bundle ON live_bundle.call_key = p_key AND live_bundle.leg = given.leg
        STRAIGHT_JOIN bundle_period ON bundle_period.account_bundle_id = live_bundle.account_bundle_id
         AND bundle_period.starts_at = live_bundle.starts_at
    ) AS offered
   WHERE left_s > 0 AND wanted_s > before_s;

  UPDATE JSON_TABLE(COALESCE(v_takes, '[]'), '$[*]' COLUMNS (
           leg TINYINT UNSIGNED PATH '$.leg',
           place TINYINT UNSIGNED PATH '$.place',
           take INT UNSIGNED PATH '$.take'
         )) AS taken
         STRAIGHT_JOIN live_bundle FORCE INDEX (PRIMARY)
            ON live_bundle.call_key = p_key AND live_bundle.leg = taken.leg AND live_bundle.place = taken.place
         STRAIGHT_JOIN bundle_period FORCE INDEX (PRIMARY)
            ON bundle_period.account_bundle_id = live_bundle.account_bundle_id
           AND bundle_period.starts_at = live_bundle.starts_at
     SET live_bundle.held_s = live_bundle.held_s + taken.take,
         bundle_period.held_s = bundle_period.held_s + taken.take;

  UPDATE JSON_TABLE(p_legs, '$[*]' COLUMNS (
           leg TINYINT UNSIGNED PATH '$.leg',
           covered INT UNSIGNED PATH '$.covered'
         )) AS given
         STRAIGHT_JOIN live_leg FORCE INDEX (PRIMARY) ON live_leg.call_key = p_key AND live_leg.leg = given.leg
     SET live_leg.covered_s = given.covered
   WHERE given.covered IS NOT NULL;
END
