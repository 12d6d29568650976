-- What archive would move for p_before, without moving it: calls (without those that were corrected since), entries
-- that belong to no call, and calls that stay because their truth is not known yet. Answers one row: calls, entries,
-- provisional.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE archivable(IN p_before DATETIME(6))
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  CALL refuse_in_transaction('archivable');
  CALL check_archive_before(p_before);
  SELECT COUNT(IF(settled_at < p_before AND NOT provisional
                  AND NOT EXISTS (SELECT 1 FROM correction
                                   WHERE correction.call_key = cdr.call_key AND correction.created_at >= p_before),
                  1, NULL)) AS calls,
         (SELECT COUNT(*)
            FROM purse
            STRAIGHT_JOIN entry FORCE INDEX (entry_account)
              ON entry.account_id = purse.account_id AND entry.created_at < p_before
           WHERE NOT EXISTS (SELECT 1 FROM cdr WHERE cdr.call_key = entry.entry_key)
             AND entry.kind <> 'correction') AS entries,
         COUNT(IF(provisional, 1, NULL)) AS provisional
    FROM cdr FORCE INDEX (cdr_ended)
   WHERE ended_at < p_before;
END
