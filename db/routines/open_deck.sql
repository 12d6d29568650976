-- Begins an import into a tariff: stage_rates fills it, compare_deck says what it would change, apply_deck does it all
-- at once, discard_deck drops it. p_key is a fresh ULID; the same again is the same import. What imports that never
-- came to an end left behind more than a day ago is removed here.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE open_deck(
  IN p_key LONGTEXT,
  IN p_tariff VARCHAR(64),
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_tariff_id BIGINT UNSIGNED;
  DECLARE v_other BIGINT UNSIGNED;

  CALL refuse_in_transaction('open_deck');
  CALL check_key('open_deck', p_key, v_key);
  IF TRIM(COALESCE(p_actor, '')) = '' THEN
    CALL refuse(CONCAT('invalid_content: deck ', v_key, ' names no actor'));
  END IF;
  CALL find_tariff(p_tariff, v_tariff_id);
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    INSERT INTO deck (deck_key, tariff_id, actor, login, opened_at)
    VALUES (v_key, v_tariff_id, p_actor, USER(), UTC_TIMESTAMP(6))
    ON DUPLICATE KEY UPDATE deck_key = deck_key;
    SELECT tariff_id INTO v_other FROM deck WHERE deck_key = v_key AND tariff_id <> v_tariff_id;
    IF v_other IS NOT NULL THEN
      CALL refuse(CONCAT('key_conflict: deck ', v_key, ' is for another tariff than ', p_tariff));
    END IF;
    COMMIT;
  END;
  CALL forget_decks();
  SELECT v_key AS deck_key;
END
