-- Locks an import that is not applied yet. Before the tariff's row, everywhere. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE lock_deck(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  OUT p_deck_id BIGINT UNSIGNED,
  OUT p_tariff_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin;

  SELECT id, tariff_id, state INTO p_deck_id, p_tariff_id, v_state FROM deck WHERE deck_key = p_key FOR UPDATE;
  IF p_deck_id IS NULL THEN
    CALL refuse(CONCAT('unknown_deck: there is no deck ', p_key));
  END IF;
  IF v_state = 'applied' THEN
    CALL refuse(CONCAT('deck_applied: deck ', p_key, ' was applied already'));
  END IF;
END
