-- What the accounts with a parent_hold_limit say of a call that open_call would let pass otherwise: NULL, or
-- 'parent_hold_limit' with the parent's leg; p_from is the highest step whose holds are within all of them. Exact
-- without a lock of its own: every call of an account locks its purse. A statement of its own, so that others do not
-- pay for it. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE judge_parent_holds(
  IN p_content LONGTEXT,
  OUT p_outcome VARCHAR(32),
  OUT p_failed_leg TINYINT UNSIGNED,
  OUT p_from INT
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  WITH capped AS ( -- the leg above an account with a limit, and what the limit leaves there
    SELECT given.leg AS leg, child.parent_hold_limit - COALESCE((
             SELECT SUM(above.hold)
               FROM live_leg AS below
               STRAIGHT_JOIN live_leg AS above ON above.call_key = below.call_key AND above.leg = below.leg + 1
              WHERE below.account_id = child.id
           ), 0) AS room
      FROM JSON_TABLE(p_content, '$.legs[*]' COLUMNS (
             leg FOR ORDINALITY,
             account_id BIGINT UNSIGNED PATH '$.account'
           )) AS given
      STRAIGHT_JOIN account AS child ON child.id = given.account_id
     WHERE child.parent_hold_limit IS NOT NULL AND child.parent_id IS NOT NULL
  ), fitting AS (
    SELECT capped.leg, MIN(IF(wanted.hold <= GREATEST(capped.room, 0), wanted.step, NULL)) AS first_step,
           MAX(wanted.smallest > GREATEST(capped.room, 0)) AS too_little
      FROM capped
      STRAIGHT_JOIN JSON_TABLE(p_content, '$.legs[*]' COLUMNS (
             leg FOR ORDINALITY,
             smallest DECIMAL(18,6) PATH '$.smallest',
             NESTED PATH '$.holds[*]' COLUMNS (step FOR ORDINALITY, hold DECIMAL(18,6) PATH '$')
           )) AS wanted ON wanted.leg = capped.leg + 1
     GROUP BY capped.leg
  )
  SELECT MIN(IF(first_step IS NULL OR too_little, leg, NULL)), COALESCE(MAX(first_step), 1)
    INTO p_failed_leg, p_from
    FROM fitting;
  SET p_outcome = IF(p_failed_leg IS NULL, NULL, 'parent_hold_limit');
END
