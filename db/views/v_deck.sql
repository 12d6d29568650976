-- Imports of rates: those under way, and what became of those that were applied.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_deck AS
SELECT deck.deck_key, deck.tariff_id, tariff.name AS tariff_name, deck.state, deck.actor, deck.login, deck.opened_at,
       deck.replaces, deck.effective_from, deck.rates, deck.added, deck.dearer, deck.cheaper, deck.changed,
       deck.unchanged, deck.gone, deck.tariff_version, deck.applied_at
  FROM deck
  JOIN tariff ON tariff.id = deck.tariff_id
