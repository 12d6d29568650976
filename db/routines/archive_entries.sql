-- Moves entries older than p_before that belong to no call that is still there, of the accounts after p_after up to
-- p_to, at most p_max. Within archive's transaction; an entry never changes, so none is locked. Internal.
CREATE OR REPLACE DEFINER = meterline_archivist@localhost PROCEDURE archive_entries(
  IN p_after BIGINT UNSIGNED,
  IN p_to BIGINT UNSIGNED,
  IN p_before DATETIME(6),
  IN p_max INT UNSIGNED,
  OUT p_entries INT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_entries LONGTEXT;

  SELECT JSON_ARRAYAGG(JSON_OBJECT('key', entry_key, 'account', account_id, 'kind', kind)) INTO v_entries
    FROM (SELECT entry.entry_key, entry.account_id, entry.kind
            FROM purse
            STRAIGHT_JOIN entry FORCE INDEX (entry_account)
              ON entry.account_id = purse.account_id AND entry.created_at < p_before
           WHERE purse.account_id > p_after AND purse.account_id <= p_to
             AND NOT EXISTS (SELECT 1 FROM cdr WHERE cdr.call_key = entry.entry_key)
             AND entry.kind <> 'correction' -- goes with its call
           LIMIT p_max) AS due;
  CALL move_entries(v_entries, p_entries);
END
