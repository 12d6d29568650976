-- Refuses charges that do not name each leg once, or exceed what p_legs says the leg can be charged at most: a JSON
-- array of {leg, most, covered}, one for each leg of the call; likewise the seconds of minute bundles. Nothing billed
-- is charged nothing, the connect fee included, and uses no bundle. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_charges(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_content LONGTEXT,
  IN p_legs LONGTEXT
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  DECLARE v_leg INT;
  DECLARE v_charge DECIMAL(18,6);
  DECLARE v_most DECIMAL(18,6);
  DECLARE v_used INT UNSIGNED;
  DECLARE v_covered INT UNSIGNED;

  SELECT leg.leg, given.charge, leg.most, COALESCE(given.used, 0), leg.covered
    INTO v_leg, v_charge, v_most, v_used, v_covered
    FROM JSON_TABLE(p_legs, '$[*]' COLUMNS (
           leg INT PATH '$.leg',
           most DECIMAL(18,6) PATH '$.most',
           covered INT UNSIGNED PATH '$.covered'
         )) AS leg
    LEFT JOIN JSON_TABLE(p_content, '$.legs[*]' COLUMNS (
           leg INT PATH '$.leg',
           charge DECIMAL(18,6) PATH '$.charge',
           used INT UNSIGNED PATH '$.bundle_s'
         )) AS given ON given.leg = leg.leg
   WHERE given.charge IS NULL OR given.charge > leg.most OR given.used > leg.covered
      OR (GREATEST(given.charge, COALESCE(given.used, 0)) > 0 AND JSON_VALUE(p_content, '$.billed_s') = 0)
   ORDER BY leg.leg
   LIMIT 1;

  IF v_leg IS NOT NULL THEN
    CALL refuse(CONCAT('invalid_charge: leg ', v_leg, ' of call ', p_key, ' cannot be charged ',
                       COALESCE(v_charge, 'nothing at all'), ': at most ', v_most, ' is held, and 0 s cost nothing',
                       IF(v_used > 0, CONCAT('; nor use ', v_used, ' s of bundles: it holds ', v_covered), '')));
  END IF;
  IF JSON_LENGTH(p_content, '$.legs') <> JSON_LENGTH(p_legs) THEN
    CALL refuse(CONCAT('invalid_charge: call ', p_key, ' has ', JSON_LENGTH(p_legs), ' legs, and ',
                       JSON_LENGTH(p_content, '$.legs'), ' charges were given'));
  END IF;
END
