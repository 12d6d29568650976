-- Refuses offers, a JSON array of [seconds of bundles, money], that are not pairs of a whole number and an amount.
-- Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_offers(
  IN p_what VARCHAR(128),
  IN p_offers LONGTEXT
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  DECLARE v_number INT;

  CALL check_amounts(p_what, JSON_EXTRACT(p_offers, '$[*][1]'), JSON_LENGTH(p_offers));
  SELECT given.number INTO v_number
    FROM JSON_TABLE(p_offers, '$[*]' COLUMNS (
      number FOR ORDINALITY,
      covered_s VARCHAR(40) PATH '$[0]' NULL ON EMPTY NULL ON ERROR
    )) AS given
   WHERE given.covered_s IS NULL OR given.covered_s NOT REGEXP '\\A[0-9]{1,9}\\z'
   LIMIT 1;
  IF v_number IS NOT NULL THEN
    CALL refuse(CONCAT('invalid_content: ', p_what, ' (number ', v_number, ') has no whole number of bundle seconds'));
  END IF;
END
