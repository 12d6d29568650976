-- Allowed and barred prefixes of accounts (user_id NULL) and of users. An empty prefix is every number.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_prefix_rule AS
SELECT account.id AS account_id, account.name AS account_name, NULL AS user_id, NULL AS user_name,
       account_prefix.prefix, account_prefix.allowed
  FROM account_prefix JOIN account ON account.id = account_prefix.account_id
UNION ALL
SELECT account.id, account.name, user.id, user.name, user_prefix.prefix, user_prefix.allowed
  FROM user_prefix JOIN user ON user.id = user_prefix.user_id JOIN account ON account.id = user.account_id
