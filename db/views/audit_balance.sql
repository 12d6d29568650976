-- An account's balance is the sum of its entries, those that are archived in one sum. Internal.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW audit_balance AS
SELECT 'balance' AS what, account_id AS id, SUM(posted) AS expected, SUM(balance) AS actual
  FROM (
    SELECT account_id, 0 AS posted, balance FROM purse
    UNION ALL
    SELECT account_id, SUM(amount), 0 FROM entry GROUP BY account_id
    UNION ALL
    SELECT account_id, balance, 0 FROM balance_checkpoint
  ) AS sides
 GROUP BY account_id
HAVING SUM(posted) <> SUM(balance)
