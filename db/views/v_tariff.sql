-- Tariffs, and how many rates each has.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_tariff AS
SELECT tariff.id AS tariff_id, tariff.owner_account_id, tariff.name, tariff.currency, tariff.decimals, tariff.rounding,
       tariff.zone, tariff.version, (SELECT COUNT(*) FROM rate WHERE rate.tariff_id = tariff.id) AS rates
  FROM tariff
