-- Brings what a user, or with 0 all of an account, may show to where a call meets it. The account's purse is locked.
-- Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE gather_shown_numbers(
  IN p_account_id BIGINT UNSIGNED,
  IN p_user_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_numbers TEXT CHARACTER SET ascii COLLATE ascii_bin;

  SELECT GROUP_CONCAT(number ORDER BY is_default DESC, number SEPARATOR ',') INTO v_numbers
    FROM shown_number
   WHERE account_id = p_account_id AND user_id = p_user_id;
  IF p_user_id = 0 THEN
    UPDATE account SET shown_numbers = v_numbers WHERE id = p_account_id;
  ELSE
    UPDATE user SET shown_numbers = v_numbers WHERE id = p_user_id;
  END IF;
END
