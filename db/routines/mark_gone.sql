-- Adds to a deck that replaces its tariff what would be gone: each rate in effect at p_effective_from or later whose
-- place no rate of the deck takes. The deck is locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE mark_gone(
  IN p_deck_id BIGINT UNSIGNED,
  IN p_tariff_id BIGINT UNSIGNED,
  IN p_effective_from DATETIME(6)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  INSERT INTO deck_rate (
    deck_id, prefix, effective_from, number, line, destination, connect_fee, price, per_s, initial_s, increment_s,
    free_seconds, max_cost, max_cost_rule, schedule, effective_to, blocked, open_ended, kind, old_rate_id
  )
  SELECT p_deck_id, rate.prefix, rate.effective_from, 0, 0, rate.destination, rate.connect_fee, rate.price, rate.per_s,
         rate.initial_s, rate.increment_s, rate.free_seconds, rate.max_cost, rate.max_cost_rule, NULL,
         rate.effective_to, rate.blocked, FALSE, 'gone', rate.id
    FROM rate
    LEFT JOIN deck_rate AS given ON given.deck_id = p_deck_id AND given.prefix = rate.prefix
     AND given.effective_from = GREATEST(rate.effective_from, p_effective_from)
   WHERE rate.tariff_id = p_tariff_id
     AND given.prefix IS NULL
     AND (rate.effective_to IS NULL OR rate.effective_to > p_effective_from)
     AND (rate.effective_from > p_effective_from
          OR NOT EXISTS (
               SELECT 1
                 FROM rate AS later
                WHERE later.tariff_id = p_tariff_id AND later.prefix = rate.prefix
                  AND later.effective_from > rate.effective_from AND later.effective_from <= p_effective_from
                  AND (later.effective_to IS NULL OR later.effective_to > p_effective_from)));
END
