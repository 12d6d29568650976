-- A user of an account: a person or phone. p_settings as in set_user, NULL for none. Answers id. The name is its key:
-- the same user again gives the same id and changes nothing.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE add_user(
  IN p_account VARCHAR(64),
  IN p_user VARCHAR(64),
  IN p_settings LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('add_user');
  IF TRIM(COALESCE(p_user, '')) = '' THEN
    CALL refuse(CONCAT('invalid_content: a user of account ', COALESCE(p_account, 'NULL'), ' has a name'));
  END IF;

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_account(p_account, v_account);
    CALL lock_purses(JSON_ARRAY(v_account));
    SELECT id INTO v_id FROM user WHERE account_id = v_account AND current_name = p_user;
    IF v_id IS NULL THEN
      IF EXISTS (SELECT 1 FROM account WHERE id = v_account AND status = 'closed') THEN
        CALL refuse(CONCAT('account_closed: account ', p_account, ' is closed, and takes no user'));
      END IF;
      INSERT INTO user (account_id, name) VALUES (v_account, p_user);
      SET v_id = LAST_INSERT_ID();
      IF p_settings IS NOT NULL THEN
        CALL write_user(p_account, v_account, v_id, p_settings);
      END IF;
    END IF;
    COMMIT;
  END;
  SELECT v_id AS id;
END
