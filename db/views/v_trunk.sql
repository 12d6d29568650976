-- Trunks, a row for each of their networks (NULL: none yet, so nobody is trusted by it).
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_trunk AS
SELECT trunk.id AS trunk_id, trunk.name, trunk.kind, trunk.user_id, user.name AS user_name, user.account_id,
       account.name AS account_name, trunk.owner_account_id, owner.name AS owner_name, trunk.status, trunk_address.network
  FROM trunk
  LEFT JOIN user ON user.id = trunk.user_id
  LEFT JOIN account ON account.id = user.account_id
  LEFT JOIN account AS owner ON owner.id = trunk.owner_account_id
  LEFT JOIN trunk_address ON trunk_address.trunk_id = trunk.id
