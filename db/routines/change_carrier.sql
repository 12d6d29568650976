-- Writes settings of a carrier that check_carrier_settings let pass. The carrier is locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE change_carrier(
  IN p_id BIGINT UNSIGNED,
  IN p_carrier VARCHAR(64),
  IN p_settings LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_tariff VARCHAR(64) DEFAULT JSON_VALUE(p_settings, '$.tariff');
  DECLARE v_tariff_id BIGINT UNSIGNED;

  IF v_tariff IS NOT NULL THEN
    SELECT id INTO v_tariff_id FROM tariff WHERE name = v_tariff;
    IF v_tariff_id IS NULL THEN
      CALL refuse(CONCAT('unknown_tariff: there is no tariff ', v_tariff, ' for carrier ', p_carrier));
    END IF;
  END IF;

  UPDATE carrier
     SET host = COALESCE(JSON_VALUE(p_settings, '$.host'), host),
         port = COALESCE(JSON_VALUE(p_settings, '$.port'), port),
         transport = COALESCE(JSON_VALUE(p_settings, '$.transport'), transport),
         priority = COALESCE(JSON_VALUE(p_settings, '$.priority'), priority),
         weight = COALESCE(JSON_VALUE(p_settings, '$.weight'), weight),
         tariff_id = IF(JSON_EXISTS(p_settings, '$.tariff'), v_tariff_id, tariff_id),
         channels = IF(JSON_EXISTS(p_settings, '$.channels'), JSON_VALUE(p_settings, '$.channels'), channels),
         dial_prefix = COALESCE(JSON_VALUE(p_settings, '$.dial_prefix'), dial_prefix),
         trusts_identity = COALESCE(JSON_VALUE(p_settings, '$.trusts_identity') IN ('1', 'true'), trusts_identity),
         probed = COALESCE(JSON_VALUE(p_settings, '$.probed') IN ('1', 'true'), probed)
   WHERE id = p_id;

  IF JSON_EXISTS(p_settings, '$.prefixes') THEN
    DELETE FROM carrier_prefix WHERE carrier_id = p_id;
    INSERT INTO carrier_prefix (carrier_id, prefix)
    SELECT DISTINCT p_id, given.prefix
      FROM JSON_TABLE(p_settings, '$.prefixes[*]' COLUMNS (prefix VARCHAR(20) PATH '$')) AS given;
  END IF;
END
