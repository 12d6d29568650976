-- Counts a wrong guess. The first p_free in a row (none a day apart) are free; then the place waits a minute, and twice
-- as long after each further one, a day at most. An empty place is nobody's, and is not counted. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE count_guess(
  IN p_kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_place VARCHAR(96),
  IN p_free INT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);

  IF p_place <> '' THEN
    INSERT INTO guess_count (kind, place, failures, last_at) VALUES (p_kind, SHA2(p_place, 256), 1, v_now)
    ON DUPLICATE KEY UPDATE failures = IF(last_at < v_now - INTERVAL 1 DAY AND COALESCE(locked_until, v_now) <= v_now,
                                          1, failures + 1),
                            last_at = v_now;
    UPDATE guess_count
       SET locked_until = v_now + INTERVAL LEAST(86400, 60 * POW(2, LEAST(20, failures - p_free))) SECOND
     WHERE kind = p_kind AND place = SHA2(p_place, 256) AND failures >= p_free;
  END IF;
END
