-- No calls to numbers that begin with these digits ('': to any), for an account with all below it, or with p_user for
-- that user alone. The longest prefix that fits a number decides, so a longer one may be allowed. Acts on the next
-- call; emergency numbers are never barred.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE bar_prefix(
  IN p_account VARCHAR(64),
  IN p_user VARCHAR(64),
  IN p_prefix TEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  CALL refuse_in_transaction('bar_prefix');
  CALL write_prefix_rule(p_account, p_user, p_prefix, FALSE);
END
