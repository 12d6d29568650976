-- Blocks vouchers p_from to p_to of a batch (NULL: from the first, to the last), sold or not. Answers vouchers.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE block_vouchers(
  IN p_batch VARCHAR(48),
  IN p_from INT UNSIGNED,
  IN p_to INT UNSIGNED,
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  CALL refuse_in_transaction('block_vouchers');
  CALL change_vouchers('blocked', p_batch, p_from, p_to, p_actor);
END
