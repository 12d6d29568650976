-- What a deck's rates supersede ends where they begin; a rate that has an end itself only interrupts. Tariff and deck are
-- locked. Internal.
--
-- An UPDATE of a join changes each row once, by one of the rates that it meets. Again, until none is left, matters only
-- where the deck has several of a prefix.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE end_superseded(
  IN p_deck_id BIGINT UNSIGNED,
  IN p_tariff_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_again BOOLEAN DEFAULT FALSE;
  DECLARE v_ended INT DEFAULT 1;

  WHILE v_ended > 0 DO
    UPDATE deck_rate AS given
           STRAIGHT_JOIN rate FORCE INDEX (rate_prefix) ON rate.tariff_id = p_tariff_id AND rate.prefix = given.prefix
            AND rate.effective_from < given.effective_from
            AND (rate.effective_to IS NULL OR rate.effective_to > given.effective_from)
       SET rate.effective_to = given.effective_from
     WHERE given.deck_id = p_deck_id AND given.open_ended AND given.kind <> 'unchanged'
       AND NOT (v_again AND given.alone);
    SET v_ended = ROW_COUNT();
    SET v_again = TRUE;
  END WHILE;
END
