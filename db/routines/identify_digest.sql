-- The chain of the user who has this user name and realm, with the stored HA1s, as caller_chain answers it. For a name
-- that nobody has it is the chain of some other user (the same one each time) without HA1s: the answer takes as long, and
-- a clock does not tell who exists. Reads only.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE identify_digest(IN p_username TEXT, IN p_realm TEXT)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_user BIGINT UNSIGNED;
  DECLARE v_other_account BIGINT UNSIGNED;
  DECLARE v_other_user BIGINT UNSIGNED;
  DECLARE v_ha1_md5 CHAR(32) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_ha1_sha256 CHAR(64) CHARACTER SET ascii COLLATE ascii_bin;

  CALL refuse_in_transaction('identify_digest');
  SELECT user.account_id, user.id, credential_digest.ha1_md5, credential_digest.ha1_sha256
    INTO v_account, v_user, v_ha1_md5, v_ha1_sha256
    FROM credential_digest JOIN user ON user.id = credential_digest.user_id
   WHERE credential_digest.username = p_username AND credential_digest.realm = p_realm;
  -- Looked up in any case.
  SELECT account_id, id INTO v_other_account, v_other_user
    FROM user
   WHERE id > CRC32(p_username) MOD (SELECT MAX(id) FROM user)
   ORDER BY id
   LIMIT 1;
  CALL caller_chain(
    COALESCE(v_account, v_other_account), COALESCE(v_user, v_other_user), v_ha1_md5, v_ha1_sha256, NULL
  );
END
