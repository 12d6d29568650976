-- A batch of vouchers, all or nothing. None can be redeemed before activate_vouchers.
--
-- p_code_hashes: JSON, ["<hex HMAC-SHA256 of voucher:code>", ..], 1 to 50000 of them, in the order of their serial
-- numbers. p_owner: the reseller for whose cards and customers they are; NULL: for the vendor's own. p_value is text,
-- p_expires_at UTC. Answers batch, vouchers, currency, value. The same key gives the same answer; with other content it
-- is an error.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE issue_vouchers(
  IN p_key LONGTEXT,
  IN p_batch VARCHAR(48),
  IN p_owner VARCHAR(64),
  IN p_currency VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_value LONGTEXT,
  IN p_expires_at DATETIME(6),
  IN p_distributor VARCHAR(64),
  IN p_code_hashes LONGTEXT,
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT SHA2(JSON_ARRAY(
    p_batch, p_owner, p_currency, p_value, p_expires_at, p_distributor, p_code_hashes, p_actor), 256);
  DECLARE v_stored_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_what VARCHAR(128) DEFAULT CONCAT('batch ', COALESCE(p_batch, 'NULL'));
  DECLARE v_value DECIMAL(18,6);
  DECLARE v_owner BIGINT UNSIGNED;
  DECLARE v_batch BIGINT UNSIGNED;

  CALL refuse_in_transaction('issue_vouchers');
  CALL check_key('issue_vouchers', p_key, v_key);
  CALL check_actor(v_what, p_actor);
  CALL check_batch_name(p_batch);
  CALL check_amount(CONCAT('value of ', v_what), p_value, v_value);
  CALL check_codes(v_what, p_code_hashes);
  IF v_value = 0 THEN
    CALL refuse(CONCAT('invalid_content: ', v_what, ': a voucher is worth more than nothing'));
  END IF;
  IF NOT COALESCE(p_currency REGEXP '\\A[A-Z]{3}\\z', FALSE) THEN
    CALL refuse(CONCAT('invalid_content: ', v_what, ': a currency is three capital letters, not ',
                       COALESCE(JSON_QUOTE(p_currency), 'NULL')));
  END IF;

  BEGIN
    -- Its name, its key or one of its codes is taken; two who repeat one batch at once wait for each other at its row.
    DECLARE EXIT HANDLER FOR 1062
    BEGIN
      ROLLBACK;
      SELECT content_hash INTO v_stored_hash FROM voucher_batch WHERE issue_key = v_key;
      IF NOT (v_stored_hash <=> v_hash) THEN
        CALL refuse(CONCAT('key_conflict: ', v_what, IF(
          EXISTS (SELECT 1 FROM voucher_batch WHERE name = p_batch), ': there is another batch of vouchers with this name',
          ': its key, or one of its codes, is taken')));
      END IF;
    END;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;

    SELECT content_hash INTO v_stored_hash FROM voucher_batch WHERE issue_key = v_key FOR UPDATE;
    IF v_stored_hash <> v_hash THEN
      CALL refuse(CONCAT('key_conflict: key ', v_key, ' was used with other content'));
    ELSEIF v_stored_hash IS NULL THEN
      CALL check_batch_owner(v_what, p_owner, v_owner);
      INSERT INTO voucher_batch (
        name, owner_account_id, currency, value, vouchers, expires_at, distributor, issue_key, content_hash, issued_at,
        issued_by, login
      ) VALUES (
        p_batch, v_owner, p_currency, v_value, JSON_LENGTH(p_code_hashes), p_expires_at, COALESCE(p_distributor, ''),
        v_key, v_hash, UTC_TIMESTAMP(6), p_actor, USER()
      );
      SET v_batch = LAST_INSERT_ID();
      INSERT INTO voucher (batch_id, serial, code_hash, changed_at, changed_by)
      SELECT v_batch, given.serial, given.code_hash, UTC_TIMESTAMP(6), p_actor
        FROM JSON_TABLE(p_code_hashes, '$[*]' COLUMNS (
          serial FOR ORDINALITY,
          code_hash VARCHAR(64) PATH '$'
        )) AS given;
    END IF;
    COMMIT;
  END;
  SELECT name AS batch, vouchers, currency, value FROM voucher_batch WHERE issue_key = v_key;
END
