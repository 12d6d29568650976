-- Carriers, disabled ones too, with what each charges by, takes, and has in progress; calls: answered ones, of all nodes.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_carrier AS
SELECT carrier.id AS carrier_id, carrier.name, carrier.host, carrier.port, carrier.transport, carrier.priority,
       carrier.weight, carrier.status, carrier.tariff_id, carrier.dial_prefix, tariff.name AS tariff_name,
       tariff.currency, tariff.version AS tariff_version, carrier.channels, carrier.trusts_identity,
       carrier.probed, COALESCE(taken.prefixes, '') AS prefixes, COALESCE(live.calls, 0) AS calls
  FROM carrier
  LEFT JOIN tariff ON tariff.id = carrier.tariff_id
  LEFT JOIN (SELECT carrier_id, GROUP_CONCAT(prefix ORDER BY prefix SEPARATOR ',') AS prefixes
               FROM carrier_prefix GROUP BY carrier_id) AS taken ON taken.carrier_id = carrier.id
  LEFT JOIN (SELECT carrier_id, COUNT(*) AS calls
               FROM live_call WHERE carrier_id IS NOT NULL GROUP BY carrier_id) AS live ON live.carrier_id = carrier.id
