-- Archived changes of balances, as v_entry shows the others.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_entry_archive AS
SELECT entry.entry_key, entry.account_id, account.name AS account_name, account.currency, entry.kind, entry.amount,
       entry.balance_after, entry.available_after, entry.forced,
       IF(entry.kind IN ('call', 'call_refund'), entry.entry_key, NULL) AS call_key,
       entry.actor, entry.login, entry.reason, entry.reference, entry.created_at
  FROM entry_archive AS entry
  STRAIGHT_JOIN account ON account.id = entry.account_id
