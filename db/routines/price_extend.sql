-- extend_call's legs as they would be without minute bundles: of each leg that offers some, the offer with the most
-- seconds that are left, as `hold`, and its seconds as `covered`. They never get fewer; and once money is held for a
-- second of the grant there are no more either, also if the bundles have seconds again. The purses are locked.
-- Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE price_extend(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_legs LONGTEXT,
  OUT p_priced LONGTEXT
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_number INT DEFAULT 0;
  DECLARE v_leg INT;
  DECLARE v_offers LONGTEXT;
  DECLARE v_covered INT UNSIGNED;
  DECLARE v_most INT UNSIGNED;
  DECLARE v_best VARCHAR(60);

  SET p_priced = p_legs;
  WHILE v_number < JSON_LENGTH(p_legs) DO
    SET v_offers = JSON_EXTRACT(p_legs, CONCAT('$[', v_number, '].offers'));
    IF v_offers IS NOT NULL THEN
      SET v_leg = JSON_VALUE(p_legs, CONCAT('$[', v_number, '].leg'));
      CALL check_offers(CONCAT('extend_call offer of leg ', COALESCE(v_leg, 'NULL'), ' of ', p_key), v_offers);
      SELECT MAX(live_leg.covered_s),
             MAX(live_leg.covered_s) + IF(MAX(live_leg.covered_s >= live_call.grant_s), COALESCE(SUM(
               bundle_period.granted_s - bundle_period.used_s - bundle_period.held_s), 0), 0)
        INTO v_covered, v_most
        FROM live_leg
        STRAIGHT_JOIN live_call ON live_call.call_key = p_key
        LEFT JOIN live_bundle ON live_bundle.call_key = p_key AND live_bundle.leg = live_leg.leg
        LEFT JOIN bundle_period ON bundle_period.account_bundle_id = live_bundle.account_bundle_id
         AND bundle_period.starts_at = live_bundle.starts_at
       WHERE live_leg.call_key = p_key AND live_leg.leg = v_leg;
      SELECT MAX(CONCAT(LPAD(offer.covered_s, 10, '0'), offer.hold)) INTO v_best
        FROM JSON_TABLE(v_offers, '$[*]' COLUMNS (
               covered_s INT UNSIGNED PATH '$[0]',
               hold VARCHAR(40) PATH '$[1]'
             )) AS offer
       WHERE offer.covered_s BETWEEN v_covered AND v_most;
      IF v_best IS NULL THEN
        CALL refuse(CONCAT('invalid_content: extend_call of ', p_key, ' does not offer leg ', COALESCE(v_leg, 'NULL'),
                           ' the ', COALESCE(v_covered, 0), ' bundle seconds that it holds'));
      END IF;
      SET p_priced = JSON_SET(p_priced, CONCAT('$[', v_number, '].hold'), SUBSTRING(v_best, 11),
                              CONCAT('$[', v_number, '].covered'), CAST(LEFT(v_best, 10) AS UNSIGNED));
    END IF;
    SET v_number = v_number + 1;
  END WHILE;
END
