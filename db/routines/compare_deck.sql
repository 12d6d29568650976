-- Says what a deck would change, and prepares it to be applied: every rate of it becomes new, dearer, cheaper, changed
-- (in something else than its price) or unchanged against the rate of its prefix that is in effect when it begins, and
-- with p_replace what is not in the deck is gone from p_effective_from on (NULL: from the deck's first rate on).
-- p_rates is how many were staged. Answers one row with the counts; v_deck_change shows each.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE compare_deck(
  IN p_key LONGTEXT,
  IN p_replace BOOLEAN,
  IN p_effective_from DATETIME(6),
  IN p_rates INT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_deck_id BIGINT UNSIGNED;
  DECLARE v_tariff_id BIGINT UNSIGNED;
  DECLARE v_version BIGINT UNSIGNED;
  DECLARE v_replace BOOLEAN DEFAULT COALESCE(p_replace, FALSE);
  DECLARE v_rates INT UNSIGNED;
  DECLARE v_first DATETIME(6);
  DECLARE v_line INT UNSIGNED;
  DECLARE v_prefix VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin;

  CALL refuse_in_transaction('compare_deck');
  CALL check_key('compare_deck', p_key, v_key);
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL lock_deck(v_key, v_deck_id, v_tariff_id);
    -- Read before the rates: if somebody changes one meanwhile, the deck is out of date, and will not be applied.
    SELECT version INTO v_version FROM tariff WHERE id = v_tariff_id;

    DELETE FROM deck_rate WHERE deck_id = v_deck_id AND number = 0;
    SELECT COUNT(*), MIN(effective_from) INTO v_rates, v_first FROM deck_rate WHERE deck_id = v_deck_id;
    IF NOT (v_rates <=> p_rates) THEN
      CALL refuse(CONCAT('incomplete_deck: ', v_rates, ' rates of deck ', v_key, ' were staged, not ',
                         COALESCE(p_rates, 'NULL')));
    END IF;
    SET v_first = COALESCE(p_effective_from, v_first);
    IF v_replace THEN
      SELECT line, prefix INTO v_line, v_prefix
        FROM deck_rate WHERE deck_id = v_deck_id AND effective_from < v_first ORDER BY line LIMIT 1;
      IF v_line IS NOT NULL THEN
        CALL refuse(CONCAT('invalid_deck: line ', v_line, ': prefix ', v_prefix,
                           ' begins before ', v_first, ', from which on the deck replaces the tariff'));
      END IF;
    END IF;

    CALL join_periods(v_key, v_deck_id);
    CALL compare_rates(v_deck_id, v_tariff_id, v_replace, v_first);
    IF v_replace THEN
      CALL mark_gone(v_deck_id, v_tariff_id, v_first);
    END IF;
    CALL count_changes(v_deck_id, v_replace, v_first, v_version);
    COMMIT;
  END;
  CALL show_deck(v_deck_id);
END
