-- The chain of the user who has this user name and realm, with the stored HA1s, as caller_chain answers it. Reads
-- only.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE identify_digest(IN p_username TEXT, IN p_realm TEXT)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_user BIGINT UNSIGNED;
  DECLARE v_ha1_md5 CHAR(32) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_ha1_sha256 CHAR(64) CHARACTER SET ascii COLLATE ascii_bin;

  CALL refuse_in_transaction('identify_digest');
  SELECT user.account_id, user.id, credential_digest.ha1_md5, credential_digest.ha1_sha256
    INTO v_account, v_user, v_ha1_md5, v_ha1_sha256
    FROM credential_digest JOIN user ON user.id = credential_digest.user_id
   WHERE credential_digest.username = p_username AND credential_digest.realm = p_realm;
  CALL caller_chain(v_account, v_user, v_ha1_md5, v_ha1_sha256, NULL);
END
