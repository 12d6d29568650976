-- The audit of what is archived: what, id, expected, actual, like audit. Reads all of it, so it takes as long as
-- the archive is large; nothing there changes but by archive.
--
-- 'checkpoint': an account's checkpoint is not the sum of its archived entries; 'checkpoint_entries': nor their
-- number; 'archived_charge': a call comes to something else than its entries say; 'archived_twice': a call or an entry is here
-- and there.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE audit_archive()
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  CALL refuse_in_transaction('audit_archive');
  -- One statement, so one snapshot.
  WITH checkpoint AS (
    SELECT account_id, SUM(balance) AS balance, SUM(posted) AS posted, SUM(told) AS told, SUM(entries) AS entries
      FROM (SELECT account_id, balance, 0 AS posted, entries AS told, 0 AS entries FROM balance_checkpoint
            UNION ALL
            SELECT account_id, 0, SUM(amount), 0, COUNT(*) FROM entry_archive GROUP BY account_id) AS sides
     GROUP BY account_id
  )
  SELECT 'checkpoint' AS what, CAST(account_id AS CHAR(64) CHARACTER SET ascii) COLLATE ascii_bin AS id,
         posted AS expected, balance AS actual
    FROM checkpoint WHERE balance <> posted
  UNION ALL
  SELECT 'checkpoint_entries', account_id, entries, told FROM checkpoint WHERE entries <> told
  UNION ALL
  SELECT 'archived_charge', call_key, SUM(charged), SUM(posted)
    FROM (SELECT call_key, account_id, COALESCE(corrected_charge, charge) AS charged, 0 AS posted
            FROM cdr_leg_archive
          UNION ALL
          SELECT IF(kind = 'correction', CAST(reference AS CHAR(26) CHARACTER SET ascii) COLLATE ascii_bin, entry_key),
                 account_id, 0, -amount
            FROM entry_archive WHERE kind IN ('call', 'call_refund', 'correction')) AS sides
   GROUP BY call_key, account_id
  HAVING SUM(charged) <> SUM(posted)
  UNION ALL
  SELECT 'archived_twice', cdr.call_key, 1, 2
    FROM cdr_archive STRAIGHT_JOIN cdr ON cdr.call_key = cdr_archive.call_key
  UNION ALL
  SELECT 'archived_twice', entry.entry_key, 1, 2
    FROM entry_archive
    STRAIGHT_JOIN entry ON entry.entry_key = entry_archive.entry_key AND entry.account_id = entry_archive.account_id
     AND entry.kind = entry_archive.kind
   ORDER BY 1, 2;
END
