-- Notes with a compared deck what it would do, and to which version of the tariff. The deck is locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE count_changes(
  IN p_deck_id BIGINT UNSIGNED,
  IN p_replace BOOLEAN,
  IN p_effective_from DATETIME(6),
  IN p_version BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  UPDATE deck,
         (SELECT COALESCE(SUM(kind <> 'gone'), 0) AS rates, COALESCE(SUM(kind = 'new'), 0) AS added,
                 COALESCE(SUM(kind = 'dearer'), 0) AS dearer, COALESCE(SUM(kind = 'cheaper'), 0) AS cheaper,
                 COALESCE(SUM(kind = 'changed'), 0) AS changed, COALESCE(SUM(kind = 'unchanged'), 0) AS unchanged,
                 COALESCE(SUM(kind = 'gone'), 0) AS gone
            FROM deck_rate
           WHERE deck_id = p_deck_id) AS counted
     SET deck.rates = counted.rates, deck.added = counted.added, deck.dearer = counted.dearer,
         deck.cheaper = counted.cheaper, deck.changed = counted.changed, deck.unchanged = counted.unchanged,
         deck.gone = counted.gone, deck.replaces = p_replace, deck.effective_from = p_effective_from,
         deck.tariff_version = p_version, deck.state = 'compared'
   WHERE deck.id = p_deck_id;
END
