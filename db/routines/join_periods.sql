-- A rate of a deck that has no end ends where the deck's next one of its prefix begins. Refuses a deck in which two of a
-- prefix begin together or overlap. The deck is locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE join_periods(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_deck_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_line INT UNSIGNED;
  DECLARE v_other INT UNSIGNED;
  DECLARE v_prefix VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin;

  SELECT later.line, earlier.line, later.prefix INTO v_line, v_other, v_prefix
    FROM (SELECT prefix FROM deck_rate WHERE deck_id = p_deck_id GROUP BY prefix HAVING COUNT(*) > 1) AS twice
    STRAIGHT_JOIN deck_rate AS later ON later.deck_id = p_deck_id AND later.prefix = twice.prefix
    STRAIGHT_JOIN deck_rate AS earlier ON earlier.deck_id = p_deck_id AND earlier.prefix = twice.prefix
     AND earlier.effective_from <= later.effective_from AND earlier.number <> later.number
     AND (earlier.effective_from = later.effective_from
          OR (NOT earlier.open_ended AND earlier.effective_to > later.effective_from))
   LIMIT 1;
  IF v_line IS NOT NULL THEN
    CALL refuse(CONCAT('invalid_deck: prefix ', v_prefix, ' stands in lines ', LEAST(v_line, v_other), ' and ',
                       GREATEST(v_line, v_other), ' of deck ', p_key, ' for the same time; see deck_problems'));
  END IF;

  UPDATE (
           SELECT deck_rate.prefix, deck_rate.effective_from,
                  LEAD(deck_rate.effective_from) OVER (PARTITION BY deck_rate.prefix
                                                       ORDER BY deck_rate.effective_from) AS next_from
             FROM (SELECT prefix FROM deck_rate WHERE deck_id = p_deck_id GROUP BY prefix HAVING COUNT(*) > 1) AS twice
             STRAIGHT_JOIN deck_rate ON deck_rate.deck_id = p_deck_id AND deck_rate.prefix = twice.prefix
         ) AS followed
         STRAIGHT_JOIN deck_rate ON deck_rate.deck_id = p_deck_id AND deck_rate.prefix = followed.prefix
          AND deck_rate.effective_from = followed.effective_from
     SET deck_rate.alone = FALSE,
         deck_rate.effective_to = IF(deck_rate.open_ended, followed.next_from, deck_rate.effective_to);
END
