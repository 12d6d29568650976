-- Every account has a purse, and every purse an account. Internal.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW audit_purse AS
SELECT 'purse_missing' AS what, account.id AS id, 1 AS expected, 0 AS actual
  FROM account LEFT JOIN purse ON purse.account_id = account.id
 WHERE purse.account_id IS NULL
UNION ALL
SELECT 'account_missing', purse.account_id, 1, 0
  FROM purse LEFT JOIN account ON account.id = purse.account_id
 WHERE account.id IS NULL
