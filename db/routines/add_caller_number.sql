-- Calls with this number (E.164 digits) on a trunk for caller numbers are a user's, or with p_user NULL those of the
-- card p_account. A trunk that a reseller owns names his own customers and cards alone.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE add_caller_number(
  IN p_trunk VARCHAR(64),
  IN p_number TEXT,
  IN p_account VARCHAR(64),
  IN p_user VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_trunk BIGINT UNSIGNED;
  DECLARE v_kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_owner BIGINT UNSIGNED;
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_user BIGINT UNSIGNED;
  DECLARE v_chain LONGTEXT;
  DECLARE v_same BOOLEAN;

  CALL refuse_in_transaction('add_caller_number');
  IF NOT COALESCE(p_number REGEXP '\\A[0-9]{2,20}\\z', FALSE) THEN
    CALL refuse(CONCAT('invalid_content: caller number ', COALESCE(LEFT(p_number, 40), 'NULL'),
                       ' is not 2 to 20 digits'));
  END IF;

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    IF p_user IS NOT NULL THEN
      CALL find_user(p_account, p_user, v_account, v_user); -- locks a purse, so before the trunk
    END IF;
    CALL find_trunk(p_trunk, v_trunk);
    SELECT kind, owner_account_id INTO v_kind, v_owner FROM trunk WHERE id = v_trunk;
    IF v_kind <> 'caller_number' THEN
      CALL refuse(CONCAT('invalid_content: trunk ', p_trunk, ' is of kind ', v_kind, ', and takes no caller numbers'));
    END IF;
    IF p_user IS NULL THEN
      CALL find_account(p_account, v_account);
      IF NOT EXISTS (SELECT 1 FROM account WHERE id = v_account AND kind = 'card') THEN
        CALL refuse(CONCAT('invalid_content: account ', p_account, ' is no card: name the user whose number it is'));
      END IF;
    END IF;
    CALL chain_of(v_account, v_chain);
    IF NOT COALESCE(JSON_CONTAINS(v_chain, v_owner), TRUE) THEN
      CALL refuse(CONCAT('foreign_account: account ', p_account, ' is not below the owner of trunk ', p_trunk));
    END IF;

    SELECT COALESCE(user_id, 0) = COALESCE(v_user, 0) AND COALESCE(account_id, v_account) = v_account INTO v_same
      FROM credential_caller_number
     WHERE trunk_id = v_trunk AND number = CONVERT(p_number USING ascii);
    IF NOT v_same THEN
      CALL refuse(CONCAT('number_taken: caller number ', p_number, ' on trunk ', p_trunk, ' is somebody else''s'));
    ELSEIF v_same IS NULL THEN
      INSERT INTO credential_caller_number (trunk_id, number, user_id, account_id)
      VALUES (v_trunk, p_number, v_user, IF(v_user IS NULL, v_account, NULL));
    END IF;
    COMMIT;
  END;
END
