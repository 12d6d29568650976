-- The ids of an account and of its user of this name, who stays until the transaction ends: the account's purse is
-- locked, which each call of his and remove_user lock too. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE find_user(
  IN p_account VARCHAR(64),
  IN p_user VARCHAR(64),
  OUT p_account_id BIGINT UNSIGNED,
  OUT p_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  CALL find_account(p_account, p_account_id);
  CALL lock_purses(JSON_ARRAY(p_account_id));
  SELECT id INTO p_id FROM user WHERE account_id = p_account_id AND current_name = p_user;
  IF p_id IS NULL THEN
    CALL refuse(CONCAT('unknown_user: account ', p_account, ' has no user ', COALESCE(p_user, 'NULL')));
  END IF;
END
