-- What a compared deck would do to each prefix, beside the rate that is in effect there. kind gone: what is shown as new
-- does not exist (NULL); new: there is nothing old.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_deck_change AS
SELECT deck.deck_key, deck_rate.kind, deck_rate.prefix, IF(deck_rate.number > 0, deck_rate.line, NULL) AS line,
       deck_rate.destination, deck_rate.effective_from, deck_rate.effective_to,
       IF(deck_rate.number > 0, deck_rate.price, NULL) AS price,
       IF(deck_rate.number > 0, deck_rate.per_s, NULL) AS per_s,
       IF(deck_rate.number > 0, deck_rate.connect_fee, NULL) AS connect_fee,
       IF(deck_rate.number > 0, deck_rate.initial_s, NULL) AS initial_s,
       IF(deck_rate.number > 0, deck_rate.increment_s, NULL) AS increment_s,
       IF(deck_rate.number > 0, deck_rate.blocked, NULL) AS blocked,
       rate.destination AS old_destination, rate.price AS old_price, rate.per_s AS old_per_s,
       rate.connect_fee AS old_connect_fee, rate.initial_s AS old_initial_s, rate.increment_s AS old_increment_s,
       rate.blocked AS old_blocked, rate.effective_to AS old_effective_to
  FROM deck
  STRAIGHT_JOIN deck_rate ON deck_rate.deck_id = deck.id
  LEFT JOIN rate ON rate.id = deck_rate.old_rate_id
