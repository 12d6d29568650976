-- Removes staged rates that nobody will apply: of imports that were opened more than a day ago, or that a lost
-- connection left behind. Internal; not for use in a transaction.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE forget_decks()
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_decks LONGTEXT;
  DECLARE v_number INT DEFAULT 0;

  SELECT JSON_ARRAYAGG(id) INTO v_decks
    FROM deck
   WHERE state = 'discarded'
      OR (state <> 'applied' AND opened_at < UTC_TIMESTAMP(6) - INTERVAL 1 DAY)
      OR (state = 'applied' AND EXISTS (SELECT 1 FROM deck_rate WHERE deck_rate.deck_id = deck.id));
  WHILE v_number < COALESCE(JSON_LENGTH(v_decks), 0) DO
    CALL empty_deck(JSON_VALUE(v_decks, CONCAT('$[', v_number, ']')));
    SET v_number = v_number + 1;
  END WHILE;
END
