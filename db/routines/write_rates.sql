-- Writes the rates of a deck that are not there already. Tariff and deck are locked. Internal.
--
-- In portions of one transaction: an INSERT .. SELECT locks the table's counter of ids until its end, and nobody could
-- change any other tariff meanwhile.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE write_rates(
  IN p_deck_id BIGINT UNSIGNED,
  IN p_tariff_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_from VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin DEFAULT '';
  DECLARE v_to VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin DEFAULT '';

  WHILE v_from IS NOT NULL DO
    SET v_to = NULL;
    SELECT prefix INTO v_to
      FROM deck_rate
     WHERE deck_id = p_deck_id AND prefix > v_from
     ORDER BY prefix
     LIMIT 1 OFFSET 9999;
    INSERT INTO rate (
      tariff_id, prefix, destination, connect_fee, price, per_s, initial_s, increment_s, free_seconds, max_cost,
      max_cost_rule, schedule, effective_from, effective_to, blocked
    )
    SELECT p_tariff_id, prefix, destination, connect_fee, price, per_s, initial_s, increment_s, free_seconds, max_cost,
           max_cost_rule, schedule, effective_from, effective_to, blocked
      FROM deck_rate
     WHERE deck_id = p_deck_id AND prefix > v_from AND (v_to IS NULL OR prefix <= v_to)
       AND kind NOT IN ('unchanged', 'gone')
    ON DUPLICATE KEY UPDATE destination = VALUES(destination), connect_fee = VALUES(connect_fee), price = VALUES(price),
      per_s = VALUES(per_s), initial_s = VALUES(initial_s), increment_s = VALUES(increment_s),
      free_seconds = VALUES(free_seconds), max_cost = VALUES(max_cost), max_cost_rule = VALUES(max_cost_rule),
      schedule = VALUES(schedule), effective_to = VALUES(effective_to), blocked = VALUES(blocked);
    SET v_from = v_to;
  END WHILE;
END
