-- The id of the bundle of this name, locked until the transaction ends; one that was removed does not count. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE find_bundle(
  IN p_name VARCHAR(64),
  OUT p_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  SELECT id INTO p_id FROM bundle WHERE name = p_name AND status = 'active' FOR UPDATE;
  IF p_id IS NULL THEN
    CALL refuse(CONCAT('unknown_bundle: there is no bundle ', COALESCE(JSON_QUOTE(p_name), 'NULL')));
  END IF;
END
