-- Refuses seconds, a period or prefixes of a bundle that cannot be meant; NULL is not looked at. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_bundle(
  IN p_name VARCHAR(64),
  IN p_seconds BIGINT,
  IN p_period VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_prefixes LONGTEXT
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  DECLARE v_what VARCHAR(90) DEFAULT CONCAT('invalid_content: bundle ', COALESCE(JSON_QUOTE(p_name), 'NULL'));

  IF TRIM(COALESCE(p_name, '')) = '' THEN
    CALL refuse('invalid_content: a bundle needs a name');
  END IF;
  IF p_seconds NOT BETWEEN 1 AND 999999999 THEN
    CALL refuse(CONCAT(v_what, ': ', p_seconds, ' seconds; it has from 1 to 999999999'));
  END IF;
  IF p_period NOT IN ('day', 'week', 'month', 'once') THEN
    CALL refuse(CONCAT(v_what, ': period ', JSON_QUOTE(p_period), ' is not day, week, month or once'));
  END IF;
  IF p_prefixes NOT REGEXP '\\A!?[0-9]{1,20}( *, *!?[0-9]{1,20})*\\z' OR CHAR_LENGTH(p_prefixes) > 60000 THEN
    CALL refuse(CONCAT(v_what, ': prefixes ', JSON_QUOTE(LEFT(p_prefixes, 60)), ' are not like 43,49,!49900'));
  END IF;
END
