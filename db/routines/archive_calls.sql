-- Moves the CDRs of p_keys with legs, failed attempts and entries, within archive's transaction. Whoever changes the money of a call
-- that is over locks its CDR first, so under these locks neither its legs nor its entries change. Internal.
CREATE OR REPLACE DEFINER = meterline_archivist@localhost PROCEDURE archive_calls(
  IN p_keys LONGTEXT,
  IN p_before DATETIME(6),
  OUT p_calls INT,
  OUT p_entries INT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_position BIGINT UNSIGNED;
  DECLARE v_keys LONGTEXT;
  DECLARE v_entries LONGTEXT;

  -- The counter before the CDRs, as the export locks them.
  SELECT position INTO v_position FROM export_position WHERE id = 1 FOR UPDATE;
  -- Chosen without locks: some may have changed since.
  SELECT JSON_ARRAYAGG(cdr.call_key) INTO v_keys
    FROM JSON_TABLE(p_keys, '$[*]' COLUMNS (
           call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS chosen
    STRAIGHT_JOIN cdr FORCE INDEX (PRIMARY) ON cdr.call_key = chosen.call_key
   WHERE cdr.settled_at < p_before AND NOT cdr.provisional
     AND NOT EXISTS (SELECT 1 FROM correction
                      WHERE correction.call_key = cdr.call_key AND correction.created_at >= p_before)
     FOR UPDATE;
  SET p_calls = COALESCE(JSON_LENGTH(v_keys), 0), p_entries = 0;

  IF p_calls > 0 THEN
    CALL publish_keys(v_keys);

    INSERT INTO cdr_archive
    SELECT cdr.* FROM JSON_TABLE(v_keys, '$[*]' COLUMNS (
             call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS chosen
      STRAIGHT_JOIN cdr FORCE INDEX (PRIMARY) ON cdr.call_key = chosen.call_key;
    INSERT INTO cdr_leg_archive
    SELECT cdr_leg.* FROM JSON_TABLE(v_keys, '$[*]' COLUMNS (
             call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS chosen
      STRAIGHT_JOIN cdr_leg FORCE INDEX (PRIMARY) ON cdr_leg.call_key = chosen.call_key;
    INSERT INTO attempt_archive
    SELECT attempt.* FROM JSON_TABLE(v_keys, '$[*]' COLUMNS (
             call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS chosen
      STRAIGHT_JOIN attempt FORCE INDEX (PRIMARY) ON attempt.call_key = chosen.call_key;

    SELECT JSON_ARRAYAGG(JSON_OBJECT('key', entry.entry_key, 'account', entry.account_id, 'kind', entry.kind))
      INTO v_entries
      FROM JSON_TABLE(v_keys, '$[*]' COLUMNS (
             call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS chosen
      STRAIGHT_JOIN entry FORCE INDEX (PRIMARY) ON entry.entry_key = chosen.call_key;
    CALL move_entries(v_entries, p_entries);
    CALL archive_corrections(v_keys, p_entries);

    DELETE attempt FROM JSON_TABLE(v_keys, '$[*]' COLUMNS (
             call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS chosen
      STRAIGHT_JOIN attempt FORCE INDEX (PRIMARY) ON attempt.call_key = chosen.call_key;
    DELETE cdr_leg FROM JSON_TABLE(v_keys, '$[*]' COLUMNS (
             call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS chosen
      STRAIGHT_JOIN cdr_leg FORCE INDEX (PRIMARY) ON cdr_leg.call_key = chosen.call_key;
    DELETE cdr FROM JSON_TABLE(v_keys, '$[*]' COLUMNS (
             call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS chosen
      STRAIGHT_JOIN cdr FORCE INDEX (PRIMARY) ON cdr.call_key = chosen.call_key;
  END IF;
END
