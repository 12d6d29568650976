-- p_key as an ascii key, so that it compares with key columns by index; anything but 26 letters and digits is
-- refused. (?-i) and \A..\z hold whatever the session's default_regex_flags say. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_key(
  IN p_routine VARCHAR(64),
  IN p_text LONGTEXT,
  OUT p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  IF p_text IS NULL OR p_text NOT REGEXP '\\A(?-i)[0-9A-Z]{26}\\z' THEN
    CALL refuse(CONCAT('invalid_key: ', p_routine, ' key ', COALESCE(JSON_QUOTE(LEFT(p_text, 40)), 'NULL'),
                       ' is not a ULID'));
  END IF;
  SET p_key = p_text;
END
