-- Moves the corrections of the calls of p_keys with their entries, and adds the number of these to p_entries. Within
-- archive's transaction, under the locks of archive_calls. Internal.
CREATE OR REPLACE DEFINER = meterline_archivist@localhost PROCEDURE archive_corrections(
  IN p_keys LONGTEXT,
  INOUT p_entries INT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_entries LONGTEXT;
  DECLARE v_moved INT;

  SELECT JSON_ARRAYAGG(JSON_OBJECT('key', correction.entry_key, 'account', correction.account_id, 'kind', 'correction'))
    INTO v_entries
    FROM JSON_TABLE(p_keys, '$[*]' COLUMNS (
           call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS chosen
    STRAIGHT_JOIN correction FORCE INDEX (PRIMARY) ON correction.call_key = chosen.call_key;
  IF v_entries IS NOT NULL THEN
    CALL move_entries(v_entries, v_moved);
    SET p_entries = p_entries + v_moved;
    INSERT INTO correction_archive
    SELECT correction.* FROM JSON_TABLE(p_keys, '$[*]' COLUMNS (
             call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS chosen
      STRAIGHT_JOIN correction FORCE INDEX (PRIMARY) ON correction.call_key = chosen.call_key;
    DELETE correction FROM JSON_TABLE(p_keys, '$[*]' COLUMNS (
             call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS chosen
      STRAIGHT_JOIN correction FORCE INDEX (PRIMARY) ON correction.call_key = chosen.call_key;
  END IF;
END
