-- As judge_parent_holds, for a longer grant of a live call with new holds p_legs. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE judge_parent_extend(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_legs LONGTEXT,
  OUT p_outcome VARCHAR(32),
  OUT p_failed_leg TINYINT UNSIGNED
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  SELECT MIN(parent.leg) INTO p_failed_leg
    FROM live_leg AS child
    STRAIGHT_JOIN account ON account.id = child.account_id
    STRAIGHT_JOIN live_leg AS parent ON parent.call_key = child.call_key AND parent.leg = child.leg + 1
    STRAIGHT_JOIN JSON_TABLE(p_legs, '$[*]' COLUMNS (
      leg TINYINT UNSIGNED PATH '$.leg',
      hold DECIMAL(18,6) PATH '$.hold'
    )) AS given ON given.leg = parent.leg
   WHERE child.call_key = p_key AND given.hold > parent.hold
     AND given.hold - parent.hold + (
           SELECT SUM(above.hold)
             FROM live_leg AS below
             STRAIGHT_JOIN live_leg AS above ON above.call_key = below.call_key AND above.leg = below.leg + 1
            WHERE below.account_id = child.account_id
         ) > account.parent_hold_limit;
  SET p_outcome = IF(p_failed_leg IS NULL, NULL, 'parent_hold_limit');
END
