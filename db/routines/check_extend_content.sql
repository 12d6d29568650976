-- Refuses arguments of extend_call that cannot be meant. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_extend_content(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_old_grant_s INT UNSIGNED,
  IN p_new_grant_s INT UNSIGNED,
  IN p_legs LONGTEXT
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  IF p_legs IS NULL OR NOT JSON_VALID(p_legs) THEN
    CALL refuse(CONCAT('invalid_content: extend_call of ', p_key, ' was not given JSON'));
  END IF;
  IF NOT COALESCE(p_new_grant_s > p_old_grant_s, FALSE) THEN
    CALL refuse(CONCAT('invalid_content: extend_call of ', p_key, ' from ', COALESCE(p_old_grant_s, 'NULL'), ' to ',
                       COALESCE(p_new_grant_s, 'NULL'), ' s does not lengthen it'));
  END IF;
  CALL check_amounts(CONCAT('extend_call hold of ', p_key), JSON_EXTRACT(p_legs, '$[*].hold'), JSON_LENGTH(p_legs));
END
