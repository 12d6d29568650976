-- Sells vouchers p_from to p_to of a batch (NULL: from the first, to the last): from now on they are money, once. Answers
-- vouchers, how many were not active yet.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE activate_vouchers(
  IN p_batch VARCHAR(48),
  IN p_from INT UNSIGNED,
  IN p_to INT UNSIGNED,
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  CALL refuse_in_transaction('activate_vouchers');
  CALL change_vouchers('active', p_batch, p_from, p_to, p_actor);
END
