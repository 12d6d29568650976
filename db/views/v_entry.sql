-- Every change of every balance. A call's entries have its key; a correction's reference is the key. STRAIGHT_JOIN: the
-- latest ones are found by index, and not by sorting what all accounts ever did.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_entry AS
SELECT entry.entry_key, entry.account_id, account.name AS account_name, account.currency, entry.kind, entry.amount,
       entry.balance_after, entry.available_after, entry.forced,
       CASE
         WHEN entry.kind IN ('call', 'call_refund') THEN entry.entry_key
         WHEN entry.kind = 'correction' THEN CAST(entry.reference AS CHAR(26) CHARACTER SET ascii) COLLATE ascii_bin
       END AS call_key,
       entry.actor, entry.login, entry.reason, entry.reference, entry.created_at
  FROM entry
  STRAIGHT_JOIN account ON account.id = entry.account_id
