-- Compares each rate of a deck with the one of its prefix that is in effect when it begins. The deck is locked. Internal.
--
-- Unchanged is what need not be written: the same rate with the same period, or, for a prefix with one rate in the deck,
-- a rate with the same terms that began earlier and lasts as long. (When the deck replaces the tariff, it must begin at
-- p_effective_from and end alike, for everything else ends there.) utf8mb4_nopad_bin: a name spelt otherwise is a change.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE compare_rates(
  IN p_deck_id BIGINT UNSIGNED,
  IN p_tariff_id BIGINT UNSIGNED,
  IN p_replace BOOLEAN,
  IN p_effective_from DATETIME(6)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  UPDATE deck_rate SET kind = 'new', old_rate_id = NULL WHERE deck_id = p_deck_id AND old_rate_id IS NOT NULL;

  UPDATE deck_rate AS given
         STRAIGHT_JOIN rate FORCE INDEX (PRIMARY) ON rate.id = (
           SELECT before_it.id
             FROM rate AS before_it FORCE INDEX (rate_prefix)
            WHERE before_it.tariff_id = p_tariff_id AND before_it.prefix = given.prefix
              AND before_it.effective_from <= given.effective_from
              AND (before_it.effective_to IS NULL OR before_it.effective_to > given.effective_from)
            ORDER BY before_it.effective_from DESC
            LIMIT 1)
     SET given.old_rate_id = rate.id,
         given.kind = CASE
           WHEN rate.price = given.price AND rate.per_s = given.per_s AND rate.connect_fee = given.connect_fee
            AND rate.initial_s <=> given.initial_s AND rate.increment_s = given.increment_s
            AND rate.free_seconds = given.free_seconds AND rate.max_cost <=> given.max_cost
            AND rate.max_cost_rule = given.max_cost_rule AND rate.schedule <=> given.schedule
            AND rate.blocked = given.blocked
            AND rate.destination COLLATE utf8mb4_nopad_bin = given.destination COLLATE utf8mb4_nopad_bin
            AND CASE
                  WHEN rate.effective_from = given.effective_from OR (p_replace AND given.alone)
                       THEN rate.effective_to <=> given.effective_to
                            AND (rate.effective_from = given.effective_from OR given.effective_from = p_effective_from)
                  WHEN given.alone THEN rate.effective_to IS NULL OR rate.effective_to >= given.effective_to
                  ELSE FALSE
                END
             THEN 'unchanged'
           WHEN rate.schedule IS NOT NULL OR given.schedule IS NOT NULL OR rate.blocked <> given.blocked THEN 'changed'
           WHEN given.price * rate.per_s > rate.price * given.per_s THEN 'dearer'
           WHEN given.price * rate.per_s < rate.price * given.per_s THEN 'cheaper'
           WHEN given.connect_fee > rate.connect_fee THEN 'dearer'
           WHEN given.connect_fee < rate.connect_fee THEN 'cheaper'
           ELSE 'changed'
         END
   WHERE given.deck_id = p_deck_id;
END
