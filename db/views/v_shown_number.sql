-- Numbers that callers may show; user_name NULL: every user of the account, and a card itself.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER
VIEW v_shown_number AS
SELECT shown_number.account_id, account.name AS account_name, shown_number.user_id, user.name AS user_name,
       shown_number.number, shown_number.is_default
  FROM shown_number
  JOIN account ON account.id = shown_number.account_id
  LEFT JOIN user ON user.id = shown_number.user_id
