-- What nodes need to know of active carriers, without a look at any call. tariff_version: caches of rates are keyed by it.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_carrier_route AS
SELECT carrier.id AS carrier_id, carrier.name, carrier.host, carrier.port, carrier.transport, carrier.priority,
       carrier.weight, carrier.tariff_id, tariff.version AS tariff_version, tariff.currency,
       carrier.dial_prefix, carrier.channels, carrier.trusts_identity, carrier.probed, carrier_prefix.prefix
  FROM carrier
  LEFT JOIN tariff ON tariff.id = carrier.tariff_id
  LEFT JOIN carrier_prefix ON carrier_prefix.carrier_id = carrier.id
 WHERE carrier.status = 'active'
