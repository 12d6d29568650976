-- Takes a minute bundle from an account: calls that are rated from now on do not use it. Calls in progress keep it.
-- Answers ended, how many times the account had it.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE unassign_bundle(
  IN p_account VARCHAR(64),
  IN p_bundle VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_bundle BIGINT UNSIGNED;
  DECLARE v_now DATETIME DEFAULT UTC_TIMESTAMP();
  DECLARE v_ended INT;

  CALL refuse_in_transaction('unassign_bundle');
  BEGIN
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
    CALL find_bundle(p_bundle, v_bundle);
    UPDATE account_bundle
       SET ends_at = GREATEST(starts_at, v_now)
     WHERE account_id = v_account AND bundle_id = v_bundle AND ends_at > v_now;
    SET v_ended = ROW_COUNT();
    IF v_ended = 0 THEN
      CALL refuse(CONCAT('unknown_bundle: account ', p_account, ' does not have bundle ', p_bundle));
    END IF;
    UPDATE account
       SET has_bundles = EXISTS (SELECT 1 FROM account_bundle WHERE account_id = v_account AND ends_at > v_now)
     WHERE id = v_account;
    COMMIT;
  END;
  SELECT v_ended AS ended;
END
