-- Marks the live calls of an account and of all below it, or of one user, to be ended (end_call). With the account's
-- purse locked none can open meanwhile. Answers how many there are. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE mark_calls(
  IN p_account_id BIGINT UNSIGNED,
  IN p_user_id BIGINT UNSIGNED,
  IN p_reason VARCHAR(200),
  OUT p_calls INT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  INSERT INTO end_mark (call_key, node, reason, login, marked_at)
  SELECT live_call.call_key, live_call.node, COALESCE(p_reason, ''), USER(), UTC_TIMESTAMP(6)
    FROM live_leg STRAIGHT_JOIN live_call ON live_call.call_key = live_leg.call_key
   WHERE live_leg.account_id = p_account_id AND (p_user_id IS NULL OR live_call.user_id = p_user_id)
  ON DUPLICATE KEY UPDATE call_key = end_mark.call_key; -- the first reason stays

  SELECT COUNT(*) INTO p_calls
    FROM live_leg STRAIGHT_JOIN live_call ON live_call.call_key = live_leg.call_key
   WHERE live_leg.account_id = p_account_id AND (p_user_id IS NULL OR live_call.user_id = p_user_id);
END
