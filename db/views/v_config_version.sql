-- A number that is another whenever a trunk, a carrier or a premium prefix is: from their content, because a column of
-- versions or times would miss what commits late.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER
VIEW v_config_version AS
SELECT COALESCE(SUM(digest), 0) AS version
  FROM (
    SELECT CRC32(CONCAT_WS('|', 'trunk', trunk.id, name, kind, COALESCE(user_id, 0), COALESCE(owner_account_id, 0),
                           status, COALESCE(network, ''))) AS digest
      FROM trunk LEFT JOIN trunk_address ON trunk_address.trunk_id = trunk.id
    UNION ALL
    SELECT CRC32(CONCAT_WS('|', 'carrier', id, name, host, port, transport, priority, weight, status,
                           COALESCE(tariff_id, 0), dial_prefix, COALESCE(channels, ''), trusts_identity, probed))
      FROM carrier
    UNION ALL
    SELECT CRC32(CONCAT_WS('|', 'premium', prefix, name)) FROM premium_prefix
    UNION ALL
    SELECT CRC32(CONCAT_WS('|', 'prefix', carrier_id, prefix)) FROM carrier_prefix
  ) AS configured
