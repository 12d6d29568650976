-- Whether a rate sells under the price that the tariff's owner buys at: NULL, or a text that says so. Compared are the
-- price of a minute and the connect fee, by the longest prefix that the owner's own tariff has for it, from when the
-- rate is in effect; and what he buys at dearer, longer prefixes that the tariff says nothing of. v_below_cost shows all
-- of a tariff. Rates with a schedule are not compared. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE price_warning(
  IN p_rate_id BIGINT UNSIGNED,
  OUT p_warning TEXT
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_sold BIGINT UNSIGNED;
  DECLARE v_bought BIGINT UNSIGNED;
  DECLARE v_prefix VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_at DATETIME(6);
  DECLARE v_buy BIGINT UNSIGNED;
  DECLARE v_dearer INT;
  DECLARE v_example VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin;

  SELECT rate.tariff_id, account.tariff_id, rate.prefix, GREATEST(UTC_TIMESTAMP(6), rate.effective_from)
    INTO v_sold, v_bought, v_prefix, v_at
    FROM rate
    JOIN tariff ON tariff.id = rate.tariff_id
    JOIN account ON account.id = tariff.owner_account_id
    JOIN tariff AS bought ON bought.id = account.tariff_id AND bought.currency = tariff.currency
   WHERE rate.id = p_rate_id AND NOT rate.blocked AND rate.schedule IS NULL;

  IF v_sold IS NOT NULL THEN -- a reseller's, and priced
    SELECT id INTO v_buy
      FROM rate
     WHERE tariff_id = v_bought AND v_prefix LIKE CONCAT(prefix, '%')
       AND prefix >= LEFT(v_prefix, 1) AND prefix <= v_prefix
       AND effective_from <= v_at AND (effective_to IS NULL OR effective_to > v_at)
     ORDER BY CHAR_LENGTH(prefix) DESC, effective_from DESC
     LIMIT 1;

    SELECT CONCAT('below_cost: ', v_prefix, ' is sold at ', ROUND(sell.price * 60 / sell.per_s, 6), ' a minute and a fee of ',
                  sell.connect_fee, ', and bought at ', ROUND(buy.price * 60 / buy.per_s, 6), ' and ', buy.connect_fee)
      INTO p_warning
      FROM rate AS sell JOIN rate AS buy ON buy.id = v_buy
     WHERE sell.id = p_rate_id AND NOT buy.blocked AND buy.schedule IS NULL
       AND (sell.price * buy.per_s < buy.price * sell.per_s OR sell.connect_fee < buy.connect_fee);

    IF p_warning IS NULL THEN
      SELECT COUNT(DISTINCT buy.prefix), MIN(buy.prefix) INTO v_dearer, v_example
        FROM rate AS sell
        JOIN rate AS buy ON buy.tariff_id = v_bought AND buy.prefix LIKE CONCAT(v_prefix, '_%')
       WHERE sell.id = p_rate_id AND NOT buy.blocked AND buy.schedule IS NULL
         AND buy.effective_from <= v_at AND (buy.effective_to IS NULL OR buy.effective_to > v_at)
         AND (sell.price * buy.per_s < buy.price * sell.per_s OR sell.connect_fee < buy.connect_fee)
         AND NOT EXISTS (
               SELECT 1 FROM rate AS own
                WHERE own.tariff_id = v_sold AND own.prefix > v_prefix AND own.prefix <= buy.prefix
                  AND buy.prefix LIKE CONCAT(own.prefix, '%')
                  AND own.effective_from <= v_at AND (own.effective_to IS NULL OR own.effective_to > v_at));
      IF v_dearer > 0 THEN
        SET p_warning = CONCAT('below_cost: ', v_dearer, ' longer prefixes of ', v_prefix,
                               ' are bought dearer and not sold apart, such as ', v_example);
      END IF;
    END IF;
  END IF;
END
