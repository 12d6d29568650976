-- Whether an account bars a number (billing/barring.py): the longest prefix that fits decides, and a premium range bars
-- like one of its own, unless it may call these or has one as long. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE judge_number(
  IN p_account_id BIGINT UNSIGNED,
  IN p_number VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
  OUT p_is_barred BOOLEAN
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_own INT;
  DECLARE v_is_allowed BOOLEAN;
  DECLARE v_premium INT;

  SELECT CHAR_LENGTH(prefix), allowed INTO v_own, v_is_allowed
    FROM account_prefix
   WHERE account_id = p_account_id AND prefix = LEFT(p_number, CHAR_LENGTH(prefix))
   ORDER BY CHAR_LENGTH(prefix) DESC
   LIMIT 1;
  SELECT MAX(CHAR_LENGTH(prefix)) INTO v_premium
    FROM premium_prefix
   WHERE prefix = LEFT(p_number, CHAR_LENGTH(prefix))
     AND NOT (SELECT premium_allowed FROM account WHERE id = p_account_id);
  SET p_is_barred = COALESCE(v_premium > COALESCE(v_own, -1), FALSE) OR COALESCE(NOT v_is_allowed, FALSE);
END
