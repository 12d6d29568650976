-- Accounts with a call that comes to something else than the negative sum of its entries. Call by call, and yet from two
-- index scans: each amount is weighted with a number from its call key, so that errors of two calls do not cancel. The
-- entry of a correction has a key of its own; so a correction stands once on either side: with its call's key, and with
-- its entry's. Internal.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW audit_charge AS
SELECT account_id
  FROM (
    SELECT account_id, SUM(COALESCE(corrected_charge, charge) * CRC32(call_key)) AS charged, 0 AS posted
      FROM cdr_leg
     GROUP BY account_id
    UNION ALL
    SELECT account_id, SUM((new_charge - old_charge) * CRC32(entry_key)),
           SUM((new_charge - old_charge) * CRC32(call_key))
      FROM correction
     GROUP BY account_id
    UNION ALL
    SELECT account_id, 0, SUM(-amount * CRC32(entry_key))
      FROM entry
     WHERE kind IN ('call', 'call_refund', 'correction')
     GROUP BY account_id
  ) AS sides
 GROUP BY account_id
HAVING SUM(charged) <> SUM(posted)
