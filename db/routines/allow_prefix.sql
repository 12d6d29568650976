-- Calls to numbers that begin with these digits ('': to all) pass this account, or with p_user that user: the longest
-- prefix that fits decides, against shorter ones that are barred and against a premium range. Each account above, and
-- the tariffs, have a say of their own.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE allow_prefix(
  IN p_account VARCHAR(64),
  IN p_user VARCHAR(64),
  IN p_prefix TEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  CALL refuse_in_transaction('allow_prefix');
  CALL write_prefix_rule(p_account, p_user, p_prefix, TRUE);
END
