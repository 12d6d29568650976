-- What a reseller sells under the price that he buys at: a row for each of his tariffs and each prefix in it, or in the
-- tariff that he is charged at, where the price of a minute or the connect fee is lower. Prices of now, by the longest
-- prefix on both sides; barred prefixes aside, and rates with a schedule, whose price depends on the hour.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_below_cost AS
WITH digits (n) AS (
  SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL
  SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9 UNION ALL SELECT 10 UNION ALL SELECT 11 UNION ALL SELECT 12 UNION ALL
  SELECT 13 UNION ALL SELECT 14 UNION ALL SELECT 15 UNION ALL SELECT 16 UNION ALL SELECT 17 UNION ALL SELECT 18
  UNION ALL SELECT 19 UNION ALL SELECT 20
), asked AS (
  SELECT DISTINCT seller.id AS account_id, sold.id AS sold_id, seller.tariff_id AS bought_id, priced.prefix
    FROM account AS seller
    JOIN tariff AS sold ON sold.owner_account_id = seller.id
    JOIN rate AS priced ON priced.tariff_id IN (sold.id, seller.tariff_id)
   WHERE seller.kind = 'reseller' AND seller.status <> 'closed'
), compared AS (
  SELECT asked.*,
         (SELECT rate.id
            FROM digits
            STRAIGHT_JOIN rate ON rate.tariff_id = asked.sold_id AND rate.prefix = LEFT(asked.prefix, digits.n)
           WHERE digits.n <= CHAR_LENGTH(asked.prefix) AND rate.effective_from <= UTC_TIMESTAMP(6)
             AND (rate.effective_to IS NULL OR rate.effective_to > UTC_TIMESTAMP(6))
           ORDER BY digits.n DESC, rate.effective_from DESC
           LIMIT 1) AS sell_id,
         (SELECT rate.id
            FROM digits
            STRAIGHT_JOIN rate ON rate.tariff_id = asked.bought_id AND rate.prefix = LEFT(asked.prefix, digits.n)
           WHERE digits.n <= CHAR_LENGTH(asked.prefix) AND rate.effective_from <= UTC_TIMESTAMP(6)
             AND (rate.effective_to IS NULL OR rate.effective_to > UTC_TIMESTAMP(6))
           ORDER BY digits.n DESC, rate.effective_from DESC
           LIMIT 1) AS buy_id
    FROM asked
)
SELECT compared.account_id, account.name AS account_name, compared.sold_id AS tariff_id, sold.name AS tariff_name,
       compared.bought_id AS buy_tariff_id, bought.name AS buy_tariff_name, sold.currency, compared.prefix,
       sell.destination, sell.price * 60 / sell.per_s AS sell_per_minute, buy.price * 60 / buy.per_s AS buy_per_minute,
       sell.connect_fee AS sell_connect_fee, buy.connect_fee AS buy_connect_fee
  FROM compared
  JOIN rate AS sell ON sell.id = compared.sell_id
  JOIN rate AS buy ON buy.id = compared.buy_id
  JOIN account ON account.id = compared.account_id
  JOIN tariff AS sold ON sold.id = compared.sold_id
  JOIN tariff AS bought ON bought.id = compared.bought_id
 WHERE sold.currency = bought.currency AND NOT sell.blocked AND NOT buy.blocked
   AND sell.schedule IS NULL AND buy.schedule IS NULL
   AND (sell.price * buy.per_s < buy.price * sell.per_s OR sell.connect_fee < buy.connect_fee)
