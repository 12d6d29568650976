-- What is wrong with a deck as a whole: rates of one prefix that begin at the same time ('duplicate'), or of which one
-- begins before an earlier one's end ('overlap'; one without an end lasts until the next begins). A row for each, at
-- most p_max: problem, prefix, line, other_line, effective_from. No row is the only good answer.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE deck_problems(
  IN p_key LONGTEXT,
  IN p_max INT UNSIGNED
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('deck_problems');
  CALL check_key('deck_problems', p_key, v_key);
  SELECT id INTO v_id FROM deck WHERE deck_key = v_key;
  IF v_id IS NULL THEN
    CALL refuse(CONCAT('unknown_deck: there is no deck ', v_key));
  END IF;

  -- Few prefixes stand in a deck twice: found in the order of the primary key, and only they are looked at.
  WITH twice AS (
    SELECT prefix FROM deck_rate WHERE deck_id = v_id AND number > 0 GROUP BY prefix HAVING COUNT(*) > 1
  ),
  neighbours AS (
    SELECT deck_rate.prefix, deck_rate.line, deck_rate.effective_from,
           LAG(deck_rate.line) OVER (PARTITION BY deck_rate.prefix
                                     ORDER BY deck_rate.effective_from, deck_rate.number) AS line_before,
           LAG(deck_rate.effective_from) OVER (PARTITION BY deck_rate.prefix
                                               ORDER BY deck_rate.effective_from, deck_rate.number) AS from_before,
           MAX(IF(deck_rate.open_ended, NULL, CONCAT(deck_rate.effective_to, ' ', deck_rate.line)))
             OVER (PARTITION BY deck_rate.prefix ORDER BY deck_rate.effective_from, deck_rate.number
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS last_end
      FROM twice
      STRAIGHT_JOIN deck_rate ON deck_rate.deck_id = v_id AND deck_rate.prefix = twice.prefix AND deck_rate.number > 0
  )
  SELECT IF(effective_from = from_before, 'duplicate', 'overlap') AS problem, prefix, line,
         IF(effective_from = from_before, line_before, CAST(SUBSTRING_INDEX(last_end, ' ', -1) AS UNSIGNED))
           AS other_line,
         effective_from
    FROM neighbours
   WHERE effective_from = from_before OR LEFT(last_end, 26) > CAST(effective_from AS CHAR(26))
   ORDER BY line, prefix
   LIMIT p_max;
END
