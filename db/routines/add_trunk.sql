-- A source that is trusted by its addresses. p_kind customer: every call is that of p_user of p_account. caller_number
-- and ivr: p_user is NULL, and p_account is the reseller who owns it, whose own customers and cards alone may call
-- there; NULL: it is the vendor's. Answers id.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE add_trunk(
  IN p_trunk VARCHAR(64),
  IN p_kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_account VARCHAR(64),
  IN p_user VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_user BIGINT UNSIGNED;

  CALL refuse_in_transaction('add_trunk');
  IF TRIM(COALESCE(p_trunk, '')) = '' THEN
    CALL refuse('invalid_content: a trunk has a name');
  END IF;
  IF COALESCE(p_kind, '') NOT IN ('customer', 'caller_number', 'ivr') THEN
    CALL refuse(CONCAT('invalid_content: trunk ', p_trunk, ': ', COALESCE(JSON_QUOTE(p_kind), 'NULL'),
                       ' is not customer, caller_number or ivr'));
  END IF;
  IF (p_user IS NOT NULL) <> (p_kind = 'customer') THEN
    CALL refuse(CONCAT('invalid_content: trunk ', p_trunk, ': a trunk of kind customer has a user, and no other has'));
  END IF;

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    IF EXISTS (SELECT 1 FROM trunk WHERE name = p_trunk) THEN
      CALL refuse(CONCAT('name_taken: there is another trunk named ', p_trunk));
    END IF;
    IF p_user IS NOT NULL THEN
      CALL find_user(p_account, p_user, v_account, v_user);
    ELSEIF p_account IS NOT NULL THEN
      CALL find_account(p_account, v_account);
      IF NOT EXISTS (SELECT 1 FROM account WHERE id = v_account AND kind = 'reseller') THEN
        CALL refuse(CONCAT('invalid_parent: account ', p_account, ' is no reseller, so it cannot own trunk ', p_trunk));
      END IF;
    END IF;
    INSERT INTO trunk (name, kind, user_id, owner_account_id)
    VALUES (p_trunk, p_kind, v_user, IF(v_user IS NULL, v_account, NULL));
    SET v_id = LAST_INSERT_ID();
    COMMIT;
  END;
  SELECT v_id AS id;
END
