-- Drops an import that is not to be applied. Answers one row: outcome 'discarded' (also if somebody did it before),
-- 'applied' (too late: only what was staged is removed) or 'busy' (it is being compared or applied).
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE discard_deck(IN p_key LONGTEXT)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin;

  CALL refuse_in_transaction('discard_deck');
  CALL check_key('discard_deck', p_key, v_key);
  SELECT id INTO v_id FROM deck WHERE deck_key = v_key;
  IF v_id IS NOT NULL THEN
    CALL empty_deck(v_id);
  END IF;
  SELECT state INTO v_state FROM deck WHERE id = v_id;
  SELECT CASE WHEN v_state IS NULL THEN 'discarded' WHEN v_state = 'applied' THEN 'applied' ELSE 'busy' END AS outcome;
END
