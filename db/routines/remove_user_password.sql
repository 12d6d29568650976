-- Takes a SIP name and password from a user.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE remove_user_password(
  IN p_account VARCHAR(64),
  IN p_user VARCHAR(64),
  IN p_username VARCHAR(64),
  IN p_realm VARCHAR(128)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('remove_user_password');

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_user(p_account, p_user, v_account, v_id);
    DELETE FROM credential_digest WHERE username = p_username AND realm = p_realm AND user_id = v_id;
    IF ROW_COUNT() = 0 THEN
      CALL refuse(CONCAT('unknown_username: user ', p_user, ' of account ', p_account, ' has no SIP user name ',
                         COALESCE(p_username, 'NULL'), ' in realm ', COALESCE(p_realm, 'NULL')));
    END IF;
    COMMIT;
  END;
END
