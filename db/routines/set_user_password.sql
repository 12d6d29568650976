-- A user's SIP name and password, as the hex hashes of username:realm:password (RFC 7616) that the client made. Another
-- password for the same name and realm replaces the old one; other names stay.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE set_user_password(
  IN p_account VARCHAR(64),
  IN p_user VARCHAR(64),
  IN p_username VARCHAR(64),
  IN p_realm VARCHAR(128),
  IN p_ha1_md5 TEXT,
  IN p_ha1_sha256 TEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_other BIGINT UNSIGNED;

  CALL refuse_in_transaction('set_user_password');
  IF NOT COALESCE(p_ha1_md5 REGEXP '\\A(?-i)[0-9a-f]{32}\\z'
                  AND p_ha1_sha256 REGEXP '\\A(?-i)[0-9a-f]{64}\\z', FALSE) THEN
    CALL refuse(CONCAT('invalid_content: the password of ', COALESCE(p_username, 'NULL'),
                       ' is not the two hex hashes of username:realm:password'));
  END IF;
  IF COALESCE(p_username, '') = '' OR COALESCE(p_realm, '') = '' THEN
    CALL refuse(CONCAT('invalid_content: a password of user ', COALESCE(p_user, 'NULL'),
                       ' has a user name and a realm'));
  END IF;

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_user(p_account, p_user, v_account, v_id);
    SELECT user_id INTO v_other
      FROM credential_digest
     WHERE username = p_username AND realm = p_realm
       FOR UPDATE;
    IF v_other <> v_id THEN
      CALL refuse(CONCAT('name_taken: the SIP user name ', p_username, ' in realm ', p_realm, ' is another user''s'));
    END IF;
    INSERT INTO credential_digest (user_id, username, realm, ha1_md5, ha1_sha256)
    VALUES (v_id, p_username, p_realm, p_ha1_md5, p_ha1_sha256)
    ON DUPLICATE KEY UPDATE
      ha1_md5 = IF(user_id = v_id, p_ha1_md5, ha1_md5), ha1_sha256 = IF(user_id = v_id, p_ha1_sha256, ha1_sha256);
    COMMIT;
  END;
END
