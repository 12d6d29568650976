-- The carrier of a name, locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE find_carrier(
  IN p_carrier VARCHAR(64),
  OUT p_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  SELECT id INTO p_id FROM carrier WHERE name = p_carrier FOR UPDATE;
  IF p_id IS NULL THEN
    CALL refuse(CONCAT('unknown_carrier: there is no carrier ', COALESCE(p_carrier, 'NULL')));
  END IF;
END
