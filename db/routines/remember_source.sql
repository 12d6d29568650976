-- The right PIN came from this place: what was wrong before is forgotten, and the place is known for a month. Written
-- once a day at most. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE remember_source(
  IN p_place VARCHAR(96),
  IN p_is_known BOOLEAN
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);

  IF NOT p_is_known OR NOT EXISTS (
    SELECT 1 FROM guess_count
     WHERE kind = 'card_source' AND place = SHA2(p_place, 256) AND last_at > v_now - INTERVAL 1 DAY
  ) THEN
    INSERT INTO guess_count (kind, place, failures, last_at) VALUES ('card_source', SHA2(p_place, 256), 0, v_now)
    ON DUPLICATE KEY UPDATE failures = 0, last_at = v_now, locked_until = NULL;
  END IF;
END
