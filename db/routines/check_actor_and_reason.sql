-- Refuses what names nobody who does it, or no reason. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_actor_and_reason(
  IN p_what VARCHAR(128),
  IN p_actor VARCHAR(64),
  IN p_reason VARCHAR(255)
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  IF TRIM(COALESCE(p_actor, '')) = '' OR TRIM(COALESCE(p_reason, '')) = '' THEN
    CALL refuse(CONCAT('invalid_content: ', p_what, ' names no actor, or no reason'));
  END IF;
END
