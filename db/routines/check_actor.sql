-- Refuses what names nobody who does it. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_actor(
  IN p_what VARCHAR(128),
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  IF TRIM(COALESCE(p_actor, '')) = '' THEN
    CALL refuse(CONCAT('invalid_content: ', p_what, ' names no actor'));
  END IF;
END
