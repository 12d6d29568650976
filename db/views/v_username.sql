-- SIP user names; never the hashes of their passwords.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_username AS
SELECT credential_digest.username, credential_digest.realm, user.id AS user_id, user.name AS user_name,
       account.id AS account_id, account.name AS account_name
  FROM credential_digest
  STRAIGHT_JOIN user ON user.id = credential_digest.user_id
  STRAIGHT_JOIN account ON account.id = user.account_id
