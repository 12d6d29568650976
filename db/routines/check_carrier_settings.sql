-- Refuses settings of a carrier that are no JSON object, or have a name or a value that cannot be meant. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_carrier_settings(
  IN p_carrier VARCHAR(64),
  IN p_settings LONGTEXT
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  DECLARE v_wrong VARCHAR(128);
  DECLARE v_what VARCHAR(128) DEFAULT CONCAT('carrier ', COALESCE(p_carrier, 'NULL'));

  IF p_settings IS NULL OR NOT JSON_VALID(p_settings) OR JSON_TYPE(p_settings) <> 'OBJECT' THEN
    CALL refuse(CONCAT('invalid_content: settings of ', v_what, ' are not given as a JSON object'));
  END IF;
  SELECT LEFT(given.name, 64) INTO v_wrong
    FROM JSON_TABLE(JSON_KEYS(p_settings), '$[*]' COLUMNS (name VARCHAR(255) PATH '$')) AS given
   WHERE given.name COLLATE utf8mb4_general_ci NOT IN (
           'host', 'port', 'transport', 'priority', 'weight', 'tariff', 'prefixes', 'channels', 'dial_prefix',
           'trusts_identity', 'probed')
   LIMIT 1;
  IF v_wrong IS NOT NULL THEN
    CALL refuse(CONCAT('invalid_content: ', v_what, ' has no setting ', v_wrong));
  END IF;
  -- A port behind it is a mistake that only calls would show.
  IF JSON_EXISTS(p_settings, '$.host')
     AND NOT COALESCE(JSON_VALUE(p_settings, '$.host') REGEXP '\\A[0-9A-Za-z][0-9A-Za-z.-]{0,127}\\z', FALSE)
     AND NOT COALESCE(IS_IPV6(JSON_VALUE(p_settings, '$.host')), FALSE) THEN
    CALL refuse(CONCAT('invalid_content: ', v_what, ': host ', COALESCE(JSON_EXTRACT(p_settings, '$.host'), 'NULL'),
                       ' is no address and no name (its port is a setting of its own)'));
  END IF;
  IF JSON_EXISTS(p_settings, '$.port')
     AND NOT COALESCE(JSON_VALUE(p_settings, '$.port') REGEXP '\\A[1-9][0-9]{0,4}\\z', FALSE) THEN
    CALL refuse(CONCAT('invalid_content: ', v_what, ': port ', COALESCE(JSON_EXTRACT(p_settings, '$.port'), 'NULL'),
                       ' is not from 1 to 65535'));
  END IF;
  IF JSON_EXISTS(p_settings, '$.transport')
     AND NOT (JSON_VALUE(p_settings, '$.transport') IN ('udp', 'tcp', 'tls') <=> TRUE) THEN
    CALL refuse(CONCAT('invalid_content: ', v_what, ': transport ', JSON_EXTRACT(p_settings, '$.transport'),
                       ' is not udp, tcp or tls'));
  END IF;
  SELECT LEFT(CONCAT(flag.name, ' ', JSON_EXTRACT(p_settings, CONCAT('$.', flag.name))), 128) INTO v_wrong
    FROM (SELECT 'trusts_identity' AS name UNION ALL SELECT 'probed') AS flag
   WHERE JSON_EXISTS(p_settings, CONCAT('$.', flag.name))
     AND NOT COALESCE(JSON_VALUE(p_settings, CONCAT('$.', flag.name)) IN ('0', '1', 'false', 'true'), FALSE)
   LIMIT 1;
  IF v_wrong IS NOT NULL THEN
    CALL refuse(CONCAT('invalid_content: ', v_what, ': ', v_wrong, ' is not true or false'));
  END IF;
  IF JSON_EXISTS(p_settings, '$.prefixes') AND JSON_TYPE(JSON_EXTRACT(p_settings, '$.prefixes')) <> 'ARRAY' THEN
    CALL refuse(CONCAT('invalid_content: prefixes of ', v_what, ' are no list'));
  END IF;
  SELECT LEFT(COALESCE(given.prefix, 'NULL'), 40) INTO v_wrong
    FROM JSON_TABLE(p_settings, '$.prefixes[*]' COLUMNS (prefix VARCHAR(255) PATH '$' NULL ON ERROR)) AS given
   WHERE NOT COALESCE(given.prefix REGEXP '\\A[0-9]{1,20}\\z', FALSE)
   LIMIT 1;
  IF v_wrong IS NOT NULL THEN
    CALL refuse(CONCAT('invalid_content: ', v_what, ': prefix ', v_wrong, ' is not 1 to 20 digits'));
  END IF;
END
