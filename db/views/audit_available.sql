-- What is available is never below zero, but for a forced debit: then not below where that one left it. Internal.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER
VIEW audit_available AS
SELECT 'available' AS what, account_id AS id, forced_floor AS expected, balance + credit_limit - held AS actual
  FROM purse
 WHERE balance + credit_limit - held < LEAST(forced_floor, 0)
UNION ALL
SELECT 'forced_floor', account_id, 0, forced_floor
  FROM purse
 WHERE forced_floor < 0 AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.account_id = purse.account_id AND entry.forced)
   AND NOT EXISTS (SELECT 1 FROM balance_checkpoint AS past WHERE past.account_id = purse.account_id AND past.forced)
