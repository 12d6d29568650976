-- The key of the entry that corrects a leg in a run: the run's time (the first ten characters of a ULID, so that entries
-- stay in the order of time) and 80 bits of a hash of run, call and leg, in digits of base 32. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE correction_key(
  IN p_run_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_leg TINYINT UNSIGNED,
  OUT p_entry_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  DECLARE v_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin
    DEFAULT SHA2(CONCAT(p_run_key, '|', p_call_key, '|', p_leg), 256);

  SET p_entry_key = CONCAT(LEFT(p_run_key, 10),
                           LPAD(CONV(SUBSTRING(v_hash, 1, 10), 16, 32), 8, '0'),
                           LPAD(CONV(SUBSTRING(v_hash, 11, 10), 16, 32), 8, '0'));
END
