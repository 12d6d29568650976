-- Takes a block off: a card that was sold calls again, another one waits for its activation. Answers cards.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE unblock_cards(
  IN p_batch VARCHAR(48),
  IN p_from INT UNSIGNED,
  IN p_to INT UNSIGNED,
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  CALL refuse_in_transaction('unblock_cards');
  CALL change_cards('unblocked', p_batch, p_from, p_to, p_actor);
END
