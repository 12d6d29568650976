-- What of a deck would be sold under the price that the tariff's owner buys at: one row, rates (how many) and example,
-- one of their prefixes. Compared as price_warning does, with the longest prefix of his own tariff, from when the rate is
-- in effect; longer ones that he buys dearer are in v_below_cost once the deck is applied. 0 for a tariff of the vendor's.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE deck_below_cost(IN p_key LONGTEXT)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_bought BIGINT UNSIGNED;

  CALL refuse_in_transaction('deck_below_cost');
  CALL check_key('deck_below_cost', p_key, v_key);
  SELECT deck.id, bought.id INTO v_id, v_bought
    FROM deck
    JOIN tariff ON tariff.id = deck.tariff_id
    LEFT JOIN account ON account.id = tariff.owner_account_id
    LEFT JOIN tariff AS bought ON bought.id = account.tariff_id AND bought.currency = tariff.currency
   WHERE deck.deck_key = v_key;
  IF v_id IS NULL THEN
    CALL refuse(CONCAT('unknown_deck: there is no deck ', v_key));
  END IF;

  IF v_bought IS NULL THEN
    SELECT 0 AS rates, NULL AS example;
  ELSE
    WITH digits (n) AS (
      SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6
      UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9 UNION ALL SELECT 10 UNION ALL SELECT 11
      UNION ALL SELECT 12 UNION ALL SELECT 13 UNION ALL SELECT 14 UNION ALL SELECT 15 UNION ALL SELECT 16
      UNION ALL SELECT 17 UNION ALL SELECT 18 UNION ALL SELECT 19 UNION ALL SELECT 20
    )
    SELECT COUNT(*) AS rates, MIN(sell.prefix) AS example
      FROM deck_rate AS sell
      STRAIGHT_JOIN rate AS buy FORCE INDEX (PRIMARY) ON buy.id = (
        SELECT rate.id
          FROM digits
          STRAIGHT_JOIN rate FORCE INDEX (rate_prefix) ON rate.tariff_id = v_bought
           AND rate.prefix = LEFT(sell.prefix, digits.n)
         WHERE digits.n <= CHAR_LENGTH(sell.prefix) AND rate.effective_from <= GREATEST(v_now, sell.effective_from)
           AND (rate.effective_to IS NULL OR rate.effective_to > GREATEST(v_now, sell.effective_from))
         ORDER BY digits.n DESC, rate.effective_from DESC
         LIMIT 1)
     WHERE sell.deck_id = v_id AND sell.number > 0
       AND NOT sell.blocked AND NOT buy.blocked AND sell.schedule IS NULL AND buy.schedule IS NULL
       AND (sell.price * buy.per_s < buy.price * sell.per_s OR sell.connect_fee < buy.connect_fee);
  END IF;
END
