-- What the archived entries of each account come to.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_checkpoint AS
SELECT past.account_id, account.name AS account_name, account.currency, past.balance, past.entries, past.updated_at
  FROM balance_checkpoint AS past
  JOIN account ON account.id = past.account_id
