-- The id of the tariff of this name. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE find_tariff(
  IN p_tariff VARCHAR(64),
  OUT p_tariff_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  SELECT id INTO p_tariff_id FROM tariff WHERE name = p_tariff;
  IF p_tariff_id IS NULL THEN
    CALL refuse(CONCAT('unknown_tariff: there is no tariff ', COALESCE(p_tariff, 'NULL')));
  END IF;
END
