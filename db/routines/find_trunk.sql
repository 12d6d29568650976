-- The id of the trunk of this name, which is locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE find_trunk(
  IN p_trunk VARCHAR(64),
  OUT p_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  SELECT id INTO p_id FROM trunk WHERE name = p_trunk FOR UPDATE;
  IF p_id IS NULL THEN
    CALL refuse(CONCAT('unknown_trunk: there is no trunk ', COALESCE(p_trunk, 'NULL')));
  END IF;
END
