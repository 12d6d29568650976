-- Every change of every balance with the balance that it left, archived or not, and of calls the number, its
-- destination in the account's tariff, and the seconds. Ask for one account: by account_id or account_name.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_statement AS
SELECT entry.account_id, account.name AS account_name, account.currency, entry.created_at AS at, entry.kind,
       cdr.call_key, leg.destination, cdr.callee AS number, cdr.billed_s AS seconds, entry.amount,
       entry.balance_after AS balance, entry.reason, entry.reference, entry.entry_key
  FROM entry
  JOIN account ON account.id = entry.account_id
  LEFT JOIN cdr ON cdr.call_key = entry.entry_key
  LEFT JOIN cdr_leg AS leg ON leg.call_key = entry.entry_key AND leg.account_id = entry.account_id
UNION ALL
SELECT entry.account_id, account.name, account.currency, entry.created_at, entry.kind,
       cdr.call_key, leg.destination, cdr.callee, cdr.billed_s, entry.amount,
       entry.balance_after, entry.reason, entry.reference, entry.entry_key
  FROM entry_archive AS entry
  JOIN account ON account.id = entry.account_id
  LEFT JOIN cdr_archive AS cdr ON cdr.call_key = entry.entry_key
  LEFT JOIN cdr_leg_archive AS leg ON leg.call_key = entry.entry_key AND leg.account_id = entry.account_id
