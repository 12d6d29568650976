-- Users, with those who were removed.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_user AS
SELECT user.id AS user_id, user.account_id, account.name AS account_name, user.name, user.status, user.max_calls,
       user.longest_call_s, user.max_calls_per_second, user.prefix_rules,
       (SELECT COUNT(*) FROM live_call WHERE live_call.user_id = user.id) AS calls
  FROM user
  STRAIGHT_JOIN account ON account.id = user.account_id
