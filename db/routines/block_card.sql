-- Blocks the card with this number, like block_cards.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE block_card(
  IN p_number TEXT,
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_batch VARCHAR(48);
  DECLARE v_serial INT UNSIGNED;

  CALL refuse_in_transaction('block_card');
  CALL find_card(p_number, v_batch, v_serial);
  CALL change_cards('blocked', v_batch, v_serial, v_serial, p_actor);
END
