-- How many seconds a place must wait before its next guess is looked at; 0: none. Locks its count. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE guess_wait(
  IN p_kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_place VARCHAR(96),
  OUT p_wait_s INT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_locked_until DATETIME(6);

  SELECT locked_until INTO v_locked_until FROM guess_count WHERE kind = p_kind AND place = SHA2(p_place, 256) FOR UPDATE;
  SET p_wait_s = COALESCE(GREATEST(0, CEIL(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), v_locked_until) / 1000000)), 0);
END
