-- A batch of cards: an account, a purse and a number with its PIN's hash for each, all or nothing. Nobody can call with
-- them before activate_cards, which books their value.
--
-- p_cards: JSON, [["4711000815", "<hex HMAC-SHA256 of number:pin>"], ..], 1 to 50000 of them, in the order of their
-- serial numbers. p_parent (NULL: the vendor) and p_tariff are names, p_value is text. p_expires_at is UTC;
-- p_expires_days counts from the day of first use, in the tariff's zone, whose offsets p_zone_offsets gives as JSON,
-- [["1970-01-01 00:00:00", 3600], ..] (may be NULL without p_expires_days). p_distributor: an account's name, or any
-- other. Answers batch, cards, currency, value. The same key gives the same answer; with other content it is an error.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE issue_cards(
  IN p_key LONGTEXT,
  IN p_batch VARCHAR(48),
  IN p_parent VARCHAR(64),
  IN p_tariff VARCHAR(64),
  IN p_value LONGTEXT,
  IN p_expires_at DATETIME(6),
  IN p_expires_days INT UNSIGNED,
  IN p_zone_offsets LONGTEXT,
  IN p_distributor VARCHAR(64),
  IN p_country_code VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_cards LONGTEXT,
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT SHA2(JSON_ARRAY(
    p_batch, p_parent, p_tariff, p_value, p_expires_at, p_expires_days, p_distributor, p_country_code, p_cards, p_actor),
    256);
  DECLARE v_stored_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_what VARCHAR(128) DEFAULT CONCAT('batch ', COALESCE(p_batch, 'NULL'));
  DECLARE v_value DECIMAL(18,6);
  DECLARE v_parent BIGINT UNSIGNED;
  DECLARE v_tariff BIGINT UNSIGNED;
  DECLARE v_currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_batch BIGINT UNSIGNED;

  CALL refuse_in_transaction('issue_cards');
  CALL check_key('issue_cards', p_key, v_key);
  CALL check_actor(v_what, p_actor);
  CALL check_batch_name(p_batch);
  CALL check_amount(CONCAT('value of ', v_what), p_value, v_value);
  CALL check_dial_plan(v_what, p_country_code, NULL, NULL);
  CALL check_cards(v_what, p_cards);
  IF p_expires_days NOT BETWEEN 1 AND 36500 THEN
    CALL refuse(CONCAT('invalid_content: ', v_what, ': days after first use are 1 to 36500, not ', p_expires_days));
  END IF;

  BEGIN
    -- Its name, its key or one of its numbers is taken; two who repeat one batch at once wait for each other at its row.
    DECLARE EXIT HANDLER FOR 1062
    BEGIN
      ROLLBACK;
      SELECT content_hash INTO v_stored_hash FROM card_batch WHERE issue_key = v_key;
      IF NOT (v_stored_hash <=> v_hash) THEN
        CALL refuse(CONCAT('key_conflict: ', v_what, IF(
          EXISTS (SELECT 1 FROM card_batch WHERE name = p_batch), ': there is another batch of cards with this name',
          ': its key, or one of its numbers, is taken')));
      END IF;
    END;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;

    SELECT content_hash INTO v_stored_hash FROM card_batch WHERE issue_key = v_key FOR UPDATE;
    IF v_stored_hash <> v_hash THEN
      CALL refuse(CONCAT('key_conflict: key ', v_key, ' was used with other content'));
    ELSEIF v_stored_hash IS NULL THEN
      CALL check_batch_owner(v_what, p_parent, v_parent);
      SELECT id, currency INTO v_tariff, v_currency FROM tariff WHERE name = p_tariff;
      CALL check_account_tariff(v_what, v_parent, v_currency, p_tariff);
      INSERT INTO card_batch (
        name, parent_id, tariff_id, currency, value, cards, expires_at, expires_days, zone, distributor_account_id,
        distributor, issue_key, content_hash, issued_at, issued_by, login
      )
      SELECT p_batch, v_parent, v_tariff, currency, v_value, JSON_LENGTH(p_cards), p_expires_at, p_expires_days, zone,
             (SELECT id FROM account WHERE name = p_distributor), COALESCE(p_distributor, ''), v_key, v_hash,
             UTC_TIMESTAMP(6), p_actor, USER()
        FROM tariff
       WHERE id = v_tariff;
      SET v_batch = LAST_INSERT_ID();
      CALL check_card_numbers(p_cards);
      IF p_expires_days IS NOT NULL THEN
        CALL put_zone_offsets(v_batch, p_zone_offsets);
      END IF;
      CALL write_cards(v_batch, COALESCE(p_country_code, ''), p_cards);
    END IF;
    COMMIT;
  END;
  SELECT name AS batch, cards, currency, value FROM card_batch WHERE issue_key = v_key;
END
