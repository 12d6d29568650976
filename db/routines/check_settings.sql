-- Refuses p_settings unless it is a JSON object of p_names, a list with commas; a name is not empty. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_settings(
  IN p_what VARCHAR(128),
  IN p_settings LONGTEXT,
  IN p_names TEXT
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  DECLARE v_unknown VARCHAR(40);

  IF p_settings IS NULL OR NOT JSON_VALID(p_settings) OR JSON_TYPE(p_settings) <> 'OBJECT' THEN
    CALL refuse(CONCAT('invalid_content: ', p_what, ': settings are a JSON object like {"max_calls": 3}'));
  END IF;
  SELECT LEFT(given.name, 40) INTO v_unknown
    FROM JSON_TABLE(JSON_KEYS(p_settings), '$[*]' COLUMNS (name TEXT PATH '$')) AS given
   WHERE FIND_IN_SET(given.name, p_names) = 0
   LIMIT 1;
  IF v_unknown IS NULL THEN
    SELECT given.name INTO v_unknown
      FROM JSON_TABLE(JSON_KEYS(p_settings), '$[*]' COLUMNS (name TEXT PATH '$')) AS given
     WHERE JSON_TYPE(JSON_EXTRACT(p_settings, CONCAT('$.', given.name))) IN ('ARRAY', 'OBJECT')
     LIMIT 1;
    IF v_unknown IS NOT NULL THEN
      CALL refuse(CONCAT('invalid_content: ', v_unknown, ' of ', p_what, ' is one value, not several'));
    END IF;
  ELSE
    CALL refuse(CONCAT('invalid_content: ', p_what, ' has no setting ', v_unknown, ': ', REPLACE(p_names, ',', ', ')));
  END IF;
  IF TRIM(JSON_VALUE(p_settings, '$.name')) = '' THEN
    CALL refuse(CONCAT('invalid_content: the new name of ', p_what, ' is empty'));
  END IF;
END
