-- Puts a compared deck into its tariff: all of it in one transaction, and the tariff's version rises once. Until its
-- commit every reader sees the old rates, afterwards the new ones; what breaks off leaves the old. Refuses when the
-- tariff changed since compare_deck. Answers what compare_deck did, with the new version; the same again answers the
-- same.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE apply_deck(IN p_key LONGTEXT)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_tariff_id BIGINT UNSIGNED;
  DECLARE v_state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_replaces BOOLEAN;
  DECLARE v_effective_from DATETIME(6);
  DECLARE v_compared BIGINT UNSIGNED;
  DECLARE v_version BIGINT UNSIGNED;

  CALL refuse_in_transaction('apply_deck');
  CALL check_key('apply_deck', p_key, v_key);
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    SELECT id, tariff_id, state, replaces, effective_from, tariff_version
      INTO v_id, v_tariff_id, v_state, v_replaces, v_effective_from, v_compared
      FROM deck
     WHERE deck_key = v_key
       FOR UPDATE;
    IF v_id IS NULL OR v_state = 'discarded' THEN
      CALL refuse(CONCAT('unknown_deck: there is no deck ', v_key));
    ELSEIF v_state = 'open' THEN
      CALL refuse(CONCAT('deck_not_compared: deck ', v_key, ' was not compared since rates were added to it'));
    ELSEIF v_state = 'compared' THEN
      CALL raise_tariff_version(v_tariff_id, v_version);
      IF v_version <> v_compared + 1 THEN
        CALL refuse(CONCAT('deck_out_of_date: tariff ', v_tariff_id, ' was changed since deck ', v_key,
                           ' was compared with it'));
      END IF;
      IF v_replaces THEN
        CALL end_replaced(v_id, v_tariff_id, v_effective_from);
      ELSE
        CALL end_superseded(v_id, v_tariff_id);
      END IF;
      CALL write_rates(v_id, v_tariff_id);
      UPDATE deck SET state = 'applied', applied_at = UTC_TIMESTAMP(6), tariff_version = v_version WHERE id = v_id;
    END IF;
    COMMIT;
  END;
  CALL empty_deck(v_id);
  CALL show_deck(v_id);
END
