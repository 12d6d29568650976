-- Whether a movement of money took this key already. It is an error if another one did. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE find_key(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
  OUT p_taken BOOLEAN
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin;

  SELECT content_hash INTO v_hash FROM money_key WHERE entry_key = p_key;
  IF v_hash <> p_hash THEN
    CALL refuse(CONCAT('key_conflict: key ', p_key, ' was used with other content'));
  END IF;
  SET p_taken = v_hash IS NOT NULL;
END
