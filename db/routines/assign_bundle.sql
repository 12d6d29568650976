-- Gives an account a minute bundle from p_from (UTC; NULL: now) until p_to (excluded; NULL: until it is taken away). It
-- must be its seller's: the vendor's for an account without a parent, else the parent's. Given twice, by two keys, it
-- counts twice; the same key answers the stored row, and is an error with other content. Answers id (of
-- account_bundle), starts_at, ends_at. Under the lock of the purse, as all that a call decides on.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE assign_bundle(
  IN p_key LONGTEXT,
  IN p_account VARCHAR(64),
  IN p_bundle VARCHAR(64),
  IN p_from DATETIME,
  IN p_to DATETIME
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin
    DEFAULT SHA2(JSON_ARRAY(p_account, p_bundle, p_from, p_to), 256);
  DECLARE v_stored_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_bundle BIGINT UNSIGNED;
  DECLARE v_from DATETIME DEFAULT COALESCE(p_from, UTC_TIMESTAMP());
  DECLARE v_to DATETIME DEFAULT COALESCE(p_to, '9999-12-31 23:59:59');

  CALL refuse_in_transaction('assign_bundle');
  CALL check_key('assign_bundle', p_key, v_key);
  BEGIN
    -- Another account was given a bundle by this key at this moment.
    DECLARE EXIT HANDLER FOR 1062
    BEGIN
      ROLLBACK;
      CALL refuse(CONCAT('key_conflict: key ', v_key, ' was used with other content'));
    END;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    SELECT id INTO v_account FROM account WHERE name = p_account;
    IF v_account IS NULL THEN
      CALL refuse(CONCAT('unknown_account: there is no account ', COALESCE(JSON_QUOTE(p_account), 'NULL')));
    END IF;
    CALL lock_purses(JSON_ARRAY(v_account));
    SELECT content_hash INTO v_stored_hash FROM account_bundle WHERE assign_key = v_key;
    IF v_stored_hash <> v_hash THEN
      CALL refuse(CONCAT('key_conflict: key ', v_key, ' was used with other content'));
    ELSEIF v_stored_hash IS NULL THEN
      IF v_to <= v_from THEN
        CALL refuse(CONCAT('invalid_content: bundle ', COALESCE(JSON_QUOTE(p_bundle), 'NULL'), ' of account ',
                           p_account, ' would end at ', v_to, ', before it starts'));
      END IF;
      CALL find_bundle(p_bundle, v_bundle);
      IF (SELECT status FROM account WHERE id = v_account) = 'closed' THEN
        CALL refuse(CONCAT('account_closed: account ', p_account, ' is closed'));
      END IF;
      IF NOT ((SELECT owner_account_id FROM bundle WHERE id = v_bundle)
              <=> (SELECT parent_id FROM account WHERE id = v_account)) THEN
        CALL refuse(CONCAT('foreign_bundle: bundle ', p_bundle, ' is not sold by whom account ', p_account,
                           ' belongs to'));
      END IF;
      INSERT INTO account_bundle (account_id, bundle_id, starts_at, ends_at, assign_key, content_hash)
      VALUES (v_account, v_bundle, v_from, v_to, v_key, v_hash);
      UPDATE account SET has_bundles = TRUE WHERE id = v_account;
    END IF;
    COMMIT;
  END;
  SELECT id, starts_at, NULLIF(ends_at, '9999-12-31 23:59:59') AS ends_at FROM account_bundle WHERE assign_key = v_key;
END
