-- Whose calls come from which number on which trunk: a user's, or a card's (user_id NULL).
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_caller_number AS
SELECT trunk.id AS trunk_id, trunk.name AS trunk_name, caller.number, caller.user_id, user.name AS user_name,
       COALESCE(caller.account_id, user.account_id) AS account_id, account.name AS account_name
  FROM credential_caller_number AS caller
  JOIN trunk ON trunk.id = caller.trunk_id
  LEFT JOIN user ON user.id = caller.user_id
  JOIN account ON account.id = COALESCE(caller.account_id, user.account_id)
