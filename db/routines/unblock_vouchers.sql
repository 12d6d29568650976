-- Takes a block off vouchers, which are as before it. Answers vouchers.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE unblock_vouchers(
  IN p_batch VARCHAR(48),
  IN p_from INT UNSIGNED,
  IN p_to INT UNSIGNED,
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  CALL refuse_in_transaction('unblock_vouchers');
  CALL change_vouchers('unblocked', p_batch, p_from, p_to, p_actor);
END
