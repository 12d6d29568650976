-- Moves entries, [{"key": .., "account": .., "kind": ..}, ..], to the archive and adds them to the checkpoints of
-- their accounts. What it deletes is what it copied, row by row. Within archive's transaction. Internal, and never
-- granted.
CREATE OR REPLACE DEFINER = meterline_archivist@localhost PROCEDURE move_entries(
  IN p_entries LONGTEXT,
  OUT p_moved INT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_removed INT;

  SET p_moved = 0;
  IF p_entries IS NOT NULL THEN
    INSERT INTO entry_archive
    SELECT entry.* FROM JSON_TABLE(p_entries, '$[*]' COLUMNS (
             entry_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$.key',
             account_id BIGINT UNSIGNED PATH '$.account',
             kind VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin PATH '$.kind')) AS chosen
      STRAIGHT_JOIN entry FORCE INDEX (PRIMARY) ON entry.entry_key = chosen.entry_key
       AND entry.account_id = chosen.account_id AND entry.kind = chosen.kind;
    SET p_moved = ROW_COUNT();

    INSERT INTO balance_checkpoint (account_id, balance, entries, forced, updated_at)
    SELECT moved.account_id, SUM(moved.amount), COUNT(*), MAX(moved.forced), UTC_TIMESTAMP(6)
      FROM JSON_TABLE(p_entries, '$[*]' COLUMNS (
             entry_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$.key',
             account_id BIGINT UNSIGNED PATH '$.account',
             kind VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin PATH '$.kind')) AS chosen
      STRAIGHT_JOIN entry_archive AS moved FORCE INDEX (PRIMARY) ON moved.entry_key = chosen.entry_key
       AND moved.account_id = chosen.account_id AND moved.kind = chosen.kind
     GROUP BY moved.account_id
    ON DUPLICATE KEY UPDATE
      balance = balance + VALUES(balance),
      entries = entries + VALUES(entries),
      forced = forced OR VALUES(forced),
      updated_at = VALUES(updated_at);

    DELETE entry FROM JSON_TABLE(p_entries, '$[*]' COLUMNS (
             entry_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$.key',
             account_id BIGINT UNSIGNED PATH '$.account',
             kind VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin PATH '$.kind')) AS chosen
      STRAIGHT_JOIN entry FORCE INDEX (PRIMARY) ON entry.entry_key = chosen.entry_key
       AND entry.account_id = chosen.account_id AND entry.kind = chosen.kind;
    SET v_removed = ROW_COUNT();
    IF v_removed <> p_moved THEN
      CALL refuse(CONCAT('archive_failed: ', p_moved, ' entries were copied, ', v_removed, ' would be removed'));
    END IF;
  END IF;
END
