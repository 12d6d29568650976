-- Trunks, a row for each of their networks (NULL: none yet, so nobody is trusted by it).
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_trunk AS
SELECT trunk.id AS trunk_id, trunk.name, trunk.kind, trunk.user_id, trunk.status, trunk_address.network
  FROM trunk
  LEFT JOIN trunk_address ON trunk_address.trunk_id = trunk.id
