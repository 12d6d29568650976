-- Tariffs, whose they are (owner_name NULL: the vendor's), and how many rates each has.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_tariff AS
SELECT tariff.id AS tariff_id, tariff.owner_account_id, owner.name AS owner_name, tariff.name, tariff.currency,
       tariff.decimals, tariff.rounding, tariff.zone, tariff.version, tariff.loss_allowed, tariff.carrier_order,
       (SELECT COUNT(*) FROM rate WHERE rate.tariff_id = tariff.id) AS rates
  FROM tariff
  LEFT JOIN account AS owner ON owner.id = tariff.owner_account_id
