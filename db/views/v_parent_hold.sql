-- Accounts whose share of their parent's money is limited, and what their live calls hold of it now.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_parent_hold AS
SELECT account.id AS account_id, account.name, account.parent_id, parent.name AS parent_name, parent.currency,
       account.parent_hold_limit, COALESCE(SUM(above.hold), 0) AS parent_held
  FROM account
  JOIN account AS parent ON parent.id = account.parent_id
  LEFT JOIN live_leg AS below ON below.account_id = account.id
  LEFT JOIN live_leg AS above ON above.call_key = below.call_key AND above.leg = below.leg + 1
 WHERE account.parent_hold_limit IS NOT NULL
 GROUP BY account.id
