-- Takes a key for a movement of money, or finds that the same movement took it already (p_repeated). The purses of
-- the movement are locked, so that a repetition waits until the first is through. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE claim_key(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
  OUT p_repeated BOOLEAN
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin;

  SELECT content_hash INTO v_hash FROM money_key WHERE entry_key = p_key FOR UPDATE;
  IF v_hash <> p_hash THEN
    CALL refuse(CONCAT('key_conflict: key ', p_key, ' was used with other content'));
  END IF;
  SET p_repeated = v_hash IS NOT NULL;
  IF NOT p_repeated THEN
    INSERT INTO money_key (entry_key, content_hash, created_at) VALUES (p_key, p_hash, UTC_TIMESTAMP(6));
  END IF;
END
