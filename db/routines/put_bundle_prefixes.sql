-- Gives a bundle these prefixes, and no others: "43,49,!49900", ! for those that it excludes. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE put_bundle_prefixes(
  IN p_bundle_id BIGINT UNSIGNED,
  IN p_prefixes LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_twice VARCHAR(20);
  DECLARE v_prefixes LONGTEXT DEFAULT CONCAT('["', REPLACE(REPLACE(p_prefixes, ' ', ''), ',', '","'), '"]');

  SELECT TRIM(LEADING '!' FROM prefix) INTO v_twice
    FROM JSON_TABLE(v_prefixes, '$[*]' COLUMNS (prefix VARCHAR(21) PATH '$')) AS given
   GROUP BY TRIM(LEADING '!' FROM prefix)
  HAVING COUNT(*) > 1
   LIMIT 1;
  IF v_twice IS NOT NULL THEN
    CALL refuse(CONCAT('invalid_content: prefix ', v_twice, ' is given twice'));
  END IF;
  IF NOT EXISTS (SELECT 1 FROM JSON_TABLE(v_prefixes, '$[*]' COLUMNS (prefix VARCHAR(21) PATH '$')) AS given
                  WHERE prefix NOT LIKE '!%') THEN
    CALL refuse(CONCAT('invalid_content: prefixes ', LEFT(p_prefixes, 60), ' exclude everything'));
  END IF;
  DELETE FROM bundle_prefix WHERE bundle_id = p_bundle_id;
  INSERT INTO bundle_prefix (bundle_id, prefix, excluded)
  SELECT p_bundle_id, TRIM(LEADING '!' FROM prefix), prefix LIKE '!%'
    FROM JSON_TABLE(v_prefixes, '$[*]' COLUMNS (prefix VARCHAR(21) PATH '$')) AS given;
END
