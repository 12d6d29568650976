-- The batch of cards with this name, and its serial numbers p_from to p_to; NULL: from the first, to the last. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE find_card_range(
  IN p_batch VARCHAR(48),
  INOUT p_from INT UNSIGNED,
  INOUT p_to INT UNSIGNED,
  OUT p_batch_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_cards INT UNSIGNED;

  SELECT id, cards INTO p_batch_id, v_cards FROM card_batch WHERE name = p_batch;
  IF p_batch_id IS NULL THEN
    CALL refuse(CONCAT('unknown_batch: there is no batch of cards named ', COALESCE(p_batch, 'NULL')));
  END IF;
  SET p_from = COALESCE(p_from, 1), p_to = COALESCE(p_to, v_cards);
  IF p_from < 1 OR p_to > v_cards OR p_from > p_to THEN
    CALL refuse(CONCAT('unknown_card: batch ', p_batch, ' has cards 1 to ', v_cards, ', not ', p_from, ' to ', p_to));
  END IF;
END
