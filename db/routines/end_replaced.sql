-- A deck that replaces its tariff from p_effective_from on: all that is in effect there ends, all that would begin later
-- is removed, but for what the deck has unchanged. Tariff and deck are locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE end_replaced(
  IN p_deck_id BIGINT UNSIGNED,
  IN p_tariff_id BIGINT UNSIGNED,
  IN p_effective_from DATETIME(6)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DELETE rate
    FROM rate
    LEFT JOIN deck_rate AS given ON given.deck_id = p_deck_id AND given.prefix = rate.prefix
     AND given.effective_from = rate.effective_from AND given.number > 0
   WHERE rate.tariff_id = p_tariff_id AND rate.effective_from >= p_effective_from AND given.prefix IS NULL;

  UPDATE rate
    LEFT JOIN deck_rate AS given ON given.deck_id = p_deck_id AND given.prefix = rate.prefix
     AND given.effective_from = p_effective_from AND given.kind = 'unchanged' AND given.old_rate_id = rate.id
     SET rate.effective_to = p_effective_from
   WHERE rate.tariff_id = p_tariff_id AND rate.effective_from < p_effective_from
     AND (rate.effective_to IS NULL OR rate.effective_to > p_effective_from) AND given.prefix IS NULL;
END
