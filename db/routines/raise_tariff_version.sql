-- The first lock of whatever changes rates: the tariff's row, with the next version in it. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE raise_tariff_version(
  IN p_tariff_id BIGINT UNSIGNED,
  OUT p_version BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  SELECT version + 1 INTO p_version FROM tariff WHERE id = p_tariff_id FOR UPDATE;
  IF p_version IS NULL THEN
    CALL refuse(CONCAT('unknown_tariff: there is no tariff ', COALESCE(p_tariff_id, 'NULL')));
  END IF;
  UPDATE tariff SET version = p_version WHERE id = p_tariff_id;
END
