-- Removes what bar_prefix or allow_prefix said of exactly this prefix.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE forget_prefix(
  IN p_account VARCHAR(64),
  IN p_user VARCHAR(64),
  IN p_prefix TEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  CALL refuse_in_transaction('forget_prefix');
  CALL write_prefix_rule(p_account, p_user, p_prefix, NULL);
END
