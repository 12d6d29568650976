-- How long an account's money lasts at a rate, and the least that a call costs: billing/rating.py's arithmetic, in whole
-- numbers, for rates of one price. Both NULL: the rate has slots or windows, or the account minute bundles that may pay instead.
-- p_room as in judge_account. Internal.
--
-- Money is counted in millionths. `unit` is the tariff's last decimal for per_s seconds; p_seconds is the largest number
-- of seconds whose charge, rounded once, is no more than what is available.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE quote_leg(
  IN p_account_id BIGINT UNSIGNED,
  IN p_rate_id BIGINT UNSIGNED,
  IN p_now DATETIME,
  IN p_longest_s INT UNSIGNED,
  IN p_room DECIMAL(18,6),
  OUT p_smallest DECIMAL(18,6),
  OUT p_seconds INT
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_is_plain BOOLEAN;
  DECLARE v_rounding VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_rule VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_decimal DECIMAL(20,0);    -- millionths in the last decimal
  DECLARE v_unit DECIMAL(40,0);
  DECLARE v_fee DECIMAL(40,0);        -- for per_s seconds, like v_price
  DECLARE v_price DECIMAL(30,0);      -- of one second, times per_s
  DECLARE v_initial_s, v_increment_s, v_free_s, v_cap_s, v_charged_s BIGINT;
  DECLARE v_most DECIMAL(30,0);       -- max_cost in last decimals
  DECLARE v_available DECIMAL(30,0);  -- in last decimals
  DECLARE v_last_s BIGINT;
  DECLARE v_smallest DECIMAL(40,0);

  SELECT rate.schedule IS NULL AND NOT EXISTS (
           SELECT 1 FROM account_bundle WHERE account_bundle.account_id = account.id AND account_bundle.ends_at > p_now),
         tariff.rounding, rate.max_cost_rule, POW(10, 6 - tariff.decimals),
         rate.per_s * POW(10, 6 - tariff.decimals), rate.connect_fee * 1000000 * rate.per_s, rate.price * 1000000,
         COALESCE(rate.initial_s, rate.increment_s), rate.increment_s, rate.free_seconds,
         LEAST(p_longest_s, COALESCE(account.longest_call_s, p_longest_s),
               COALESCE(TIMESTAMPDIFF(SECOND, p_now, account.expires_at), p_longest_s)),
         FLOOR(rate.max_cost * CAST(POW(10, tariff.decimals) AS DECIMAL(7,0))),
         FLOOR(LEAST(purse.balance + purse.credit_limit - purse.held,
                     COALESCE(GREATEST(0, account.daily_spend_limit - purse.held
                                          - IF(purse.spend_day = DATE(p_now), purse.spent, 0)),
                              purse.balance + purse.credit_limit - purse.held),
                     COALESCE(p_room, purse.balance + purse.credit_limit - purse.held))
               * CAST(POW(10, tariff.decimals) AS DECIMAL(7,0)))
    INTO v_is_plain, v_rounding, v_rule, v_decimal, v_unit, v_fee, v_price, v_initial_s, v_increment_s, v_free_s,
         v_cap_s, v_most, v_available
    FROM rate
    JOIN tariff ON tariff.id = rate.tariff_id
    JOIN account ON account.id = p_account_id
    JOIN purse ON purse.account_id = account.id
   WHERE rate.id = p_rate_id;

  SET p_smallest = NULL, p_seconds = NULL;
  IF v_is_plain THEN
    SET v_last_s = NULL;
    IF v_rule = 'disconnect' AND v_most IS NOT NULL THEN
      CALL longest_talk(v_rounding, v_unit, v_fee, v_price, v_initial_s, v_increment_s, v_free_s, v_most, v_last_s);
    END IF;

    -- the charge of the first second that is not free
    SET v_charged_s = IF(v_free_s + 1 <= v_initial_s, v_initial_s,
                         v_initial_s + (v_free_s - v_initial_s + v_increment_s) DIV v_increment_s * v_increment_s);
    SET v_smallest = v_fee + v_price * v_charged_s;
    SET v_smallest = CASE v_rounding WHEN 'up' THEN v_smallest + v_unit - 1 WHEN 'down' THEN v_smallest
                                     ELSE FLOOR((2 * v_smallest + v_unit) / 2) END;
    SET v_smallest = (v_smallest - MOD(v_smallest, v_unit)) / v_unit;
    IF v_most IS NOT NULL AND v_rule = 'free' THEN
      SET v_smallest = LEAST(v_smallest, v_most);
    ELSEIF v_last_s < v_free_s + 1 THEN
      SET v_smallest = 0;
    END IF;
    SET p_smallest = v_smallest * v_decimal / 1000000;

    IF v_available < 0 THEN
      SET p_seconds = 0;
    ELSEIF v_rule = 'free' AND v_available >= v_most THEN
      SET p_seconds = GREATEST(0, v_cap_s);
    ELSE
      CALL longest_talk(v_rounding, v_unit, v_fee, v_price, v_initial_s, v_increment_s, v_free_s, v_available,
                        p_seconds);
      SET p_seconds = GREATEST(0, LEAST(p_seconds, v_cap_s, COALESCE(v_last_s, v_cap_s)));
    END IF;
  END IF;
END
