-- The id of the account of this name. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE find_account(
  IN p_account VARCHAR(64),
  OUT p_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  SELECT id INTO p_id FROM account WHERE name = p_account;
  IF p_id IS NULL THEN
    CALL refuse(CONCAT('unknown_account: there is no account ', COALESCE(p_account, 'NULL')));
  END IF;
END
