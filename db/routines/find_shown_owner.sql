-- Whose numbers they are: an account, and one of its users or, with NULL, all of them (0). Two changes of one account's
-- numbers wait for each other. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE find_shown_owner(
  IN p_account VARCHAR(64),
  IN p_user VARCHAR(64),
  OUT p_account_id BIGINT UNSIGNED,
  OUT p_user_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  IF p_user IS NULL THEN
    CALL find_account(p_account, p_account_id);
    CALL lock_purses(JSON_ARRAY(p_account_id));
    SET p_user_id = 0;
  ELSE
    CALL find_user(p_account, p_user, p_account_id, p_user_id);
  END IF;
END
