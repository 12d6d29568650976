-- The answer of compare_deck and apply_deck. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE show_deck(IN p_deck_id BIGINT UNSIGNED)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  SELECT deck_key, state, replaces, effective_from, rates, added, dearer, cheaper, changed, unchanged, gone,
         tariff_version
    FROM deck
   WHERE id = p_deck_id;
END
