-- What an account spent on a day is what its calls of that day were charged, less what came back of them.
-- Two scans of a covering index; the entry that a refund belongs to is looked up, and refunds are few. A day whose
-- entries are archived counts no more. Internal.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW audit_spent AS
SELECT 'spent' AS what, account_id AS id, SUM(posted) AS expected, SUM(spent) AS actual
  FROM (
    SELECT purse.account_id, 0 AS posted, purse.spent
      FROM purse STRAIGHT_JOIN retention ON purse.spend_day >= retention.archived_before
    UNION ALL
    SELECT purse.account_id, -charged.amount, 0
      FROM purse
      STRAIGHT_JOIN retention ON purse.spend_day >= retention.archived_before
      STRAIGHT_JOIN entry AS charged ON charged.account_id = purse.account_id AND charged.kind = 'call'
       AND charged.created_at >= purse.spend_day AND charged.created_at < purse.spend_day + INTERVAL 1 DAY
    UNION ALL
    SELECT purse.account_id, -refund.amount, 0
      FROM purse
      STRAIGHT_JOIN retention ON purse.spend_day >= retention.archived_before
      STRAIGHT_JOIN entry AS refund ON refund.account_id = purse.account_id AND refund.kind = 'call_refund'
      STRAIGHT_JOIN entry AS charged ON charged.entry_key = refund.entry_key
       AND charged.account_id = refund.account_id AND charged.kind = 'call'
       AND charged.created_at >= purse.spend_day AND charged.created_at < purse.spend_day + INTERVAL 1 DAY
  ) AS sides
 GROUP BY account_id
HAVING SUM(posted) <> SUM(spent)
