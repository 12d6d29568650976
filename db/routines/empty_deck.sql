-- Removes the staged rates of a deck, and the deck itself unless it was applied. In portions, each its own transaction:
-- nobody else waits for a million rows to go. Marked first, so that what is half removed is never applied; a deck that
-- somebody is at work on is left alone. Internal; not for use in a transaction.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE empty_deck(IN p_deck_id BIGINT UNSIGNED)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_found BIGINT UNSIGNED;
  DECLARE v_removed INT DEFAULT 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
  BEGIN
    ROLLBACK;
    RESIGNAL;
  END;

  START TRANSACTION READ WRITE;
  SELECT id INTO v_found FROM deck WHERE id = p_deck_id FOR UPDATE SKIP LOCKED;
  UPDATE deck SET state = 'discarded' WHERE id = v_found AND state <> 'applied';
  COMMIT;
  WHILE v_found IS NOT NULL AND v_removed > 0 DO
    START TRANSACTION READ WRITE;
    DELETE FROM deck_rate WHERE deck_id = p_deck_id LIMIT 20000;
    SET v_removed = ROW_COUNT();
    COMMIT;
  END WHILE;
  DELETE FROM deck WHERE id = v_found AND state = 'discarded';
END
