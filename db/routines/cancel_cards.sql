-- Cancels cards p_from to p_to of a batch, for good: what is left on them is nobody's any more, and stays in the books.
-- Answers cards. Refused while one of them has a call in progress.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE cancel_cards(
  IN p_batch VARCHAR(48),
  IN p_from INT UNSIGNED,
  IN p_to INT UNSIGNED,
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  CALL refuse_in_transaction('cancel_cards');
  CALL change_cards('cancelled', p_batch, p_from, p_to, p_actor);
END
