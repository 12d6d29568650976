-- Refuses unless p_amounts, a JSON array, holds exactly p_count texts like 123.456789. Only after this may JSON_TABLE
-- or CAST make numbers of them: alone they turn "abc" into 0, clip 1e20 and round a seventh decimal. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_amounts(
  IN p_what VARCHAR(128),
  IN p_amounts LONGTEXT,
  IN p_count INT
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  DECLARE v_number INT;
  DECLARE v_amount VARCHAR(40);
  DECLARE v_given INT DEFAULT COALESCE(JSON_LENGTH(p_amounts), 0);

  IF v_given <> p_count THEN
    CALL refuse(CONCAT('invalid_amount: ', p_what, ': ', v_given, ' amounts instead of ', p_count));
  END IF;

  SELECT given.number, LEFT(given.amount, 40) INTO v_number, v_amount
    FROM JSON_TABLE(p_amounts, '$[*]' COLUMNS (
      number FOR ORDINALITY,
      amount VARCHAR(255) PATH '$' NULL ON EMPTY NULL ON ERROR
    )) AS given
   WHERE given.amount IS NULL OR given.amount NOT REGEXP '\\A[0-9]{1,12}([.][0-9]{1,6})?\\z'
   ORDER BY given.number
   LIMIT 1;

  IF v_number IS NOT NULL THEN
    CALL refuse(CONCAT('invalid_amount: ', p_what, ' ', COALESCE(JSON_QUOTE(v_amount), 'NULL'),
                       IF(p_count > 1, CONCAT(' (number ', v_number, ')'), ''), ' is not an amount like 123.456789'));
  END IF;
END
