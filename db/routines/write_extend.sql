-- Writes the longer grant and its holds. Two statements, for a multi-table UPDATE assigns in no certain order.
-- Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE write_extend(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_new_grant_s INT UNSIGNED,
  IN p_legs LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  UPDATE JSON_TABLE(p_legs, '$[*]' COLUMNS (
           leg TINYINT UNSIGNED PATH '$.leg',
           hold DECIMAL(18,6) PATH '$.hold'
         )) AS given
         STRAIGHT_JOIN live_leg FORCE INDEX (PRIMARY) ON live_leg.call_key = p_key AND live_leg.leg = given.leg
         STRAIGHT_JOIN purse FORCE INDEX (PRIMARY) ON purse.account_id = live_leg.account_id
     SET purse.held = purse.held + given.hold - live_leg.hold;

  UPDATE JSON_TABLE(p_legs, '$[*]' COLUMNS (
           leg TINYINT UNSIGNED PATH '$.leg',
           hold DECIMAL(18,6) PATH '$.hold'
         )) AS given
         STRAIGHT_JOIN live_leg FORCE INDEX (PRIMARY) ON live_leg.call_key = p_key AND live_leg.leg = given.leg
     SET live_leg.hold = given.hold;

  -- Right in both states: hold_until is the grant after the answer, or after the longest ringing.
  UPDATE live_call
     SET hold_until = hold_until + INTERVAL p_new_grant_s - grant_s SECOND,
         grant_s = p_new_grant_s
   WHERE call_key = p_key;
END
