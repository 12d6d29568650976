-- open_call's content as it would be without minute bundles: for each leg that has some, and each step, the offer with
-- the most bundle seconds that are left takes the place of the hold, and stands in `covered` beside it. The purses are
-- locked, so what is left stands still. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE price_open(
  IN p_content LONGTEXT,
  OUT p_priced LONGTEXT
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_legs INT DEFAULT JSON_LENGTH(p_content, '$.legs');
  DECLARE v_leg INT DEFAULT 0;
  DECLARE v_path VARCHAR(16);
  DECLARE v_bundles LONGTEXT;
  DECLARE v_covered LONGTEXT;
  DECLARE v_holds LONGTEXT;

  SET p_priced = p_content;
  WHILE v_leg < v_legs DO
    SET v_path = CONCAT('$.legs[', v_leg, ']');
    IF JSON_EXISTS(p_content, CONCAT(v_path, '.bundles')) THEN
      CALL bundles_left(p_content, v_leg, v_bundles);
      -- Of a step's offers the one with the greatest number of seconds, its money behind it.
      WITH chosen AS (
        SELECT offer.step, MAX(CONCAT(LPAD(offer.covered_s, 10, '0'), offer.hold)) AS best
          FROM JSON_TABLE(JSON_EXTRACT(p_content, CONCAT(v_path, '.offers')), '$[*]' COLUMNS (
                 step FOR ORDINALITY,
                 NESTED PATH '$[*]' COLUMNS (covered_s INT UNSIGNED PATH '$[0]', hold VARCHAR(40) PATH '$[1]')
               )) AS offer
         WHERE offer.covered_s <= (SELECT COALESCE(SUM(left_s), 0)
                                     FROM JSON_TABLE(v_bundles, '$[*]' COLUMNS (left_s INT UNSIGNED PATH '$.left'))
                                            AS bundle)
         GROUP BY offer.step
      )
      SELECT JSON_ARRAYAGG(CAST(LEFT(best, 10) AS UNSIGNED) ORDER BY step),
             JSON_ARRAYAGG(SUBSTRING(best, 11) ORDER BY step)
        INTO v_covered, v_holds
        FROM chosen;
      IF NOT (JSON_LENGTH(v_holds) <=> JSON_LENGTH(p_content, '$.steps')) THEN
        CALL refuse(CONCAT('invalid_content: leg ', v_leg, ' of open_call offers no step without bundle seconds'));
      END IF;
      -- The last step's hold covers the smallest charge with the same seconds.
      SET p_priced = JSON_SET(p_priced, CONCAT(v_path, '.holds'), JSON_COMPACT(v_holds),
                              CONCAT(v_path, '.smallest'), '0', CONCAT(v_path, '.covered'), JSON_COMPACT(v_covered),
                              CONCAT(v_path, '.bundles'), JSON_COMPACT(v_bundles));
    END IF;
    SET v_leg = v_leg + 1;
  END WHILE;
END
