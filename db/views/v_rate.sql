-- Rates with what their tariffs say of all of them (the columns of billing.pricelist.rate_from_row).
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_rate AS
SELECT rate.id AS rate_id, rate.tariff_id, tariff.name AS tariff_name, tariff.version AS tariff_version,
       tariff.currency, tariff.decimals, tariff.rounding, tariff.zone, rate.prefix, rate.destination,
       rate.connect_fee, rate.price, rate.per_s, rate.initial_s, rate.increment_s, rate.free_seconds, rate.max_cost,
       rate.max_cost_rule, rate.schedule, rate.effective_from, rate.effective_to, rate.blocked
  FROM rate
  JOIN tariff ON tariff.id = rate.tariff_id
