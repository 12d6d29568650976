-- The rate that an account pays for a number now: the longest prefix in effect in its tariff; or why there is none.
-- Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE find_rate(
  IN p_account_id BIGINT UNSIGNED,
  IN p_number VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_now DATETIME,
  OUT p_rate_id BIGINT UNSIGNED,
  OUT p_destination VARCHAR(64),
  OUT p_no_rate VARCHAR(32)
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_is_blocked BOOLEAN;

  SET p_rate_id = NULL, p_destination = NULL;
  SELECT rate.id, rate.destination, rate.blocked INTO p_rate_id, p_destination, v_is_blocked
    FROM account
    STRAIGHT_JOIN rate ON rate.tariff_id = account.tariff_id
   WHERE account.id = p_account_id
     AND rate.prefix IN (
           LEFT(p_number, 1), LEFT(p_number, 2), LEFT(p_number, 3), LEFT(p_number, 4), LEFT(p_number, 5),
           LEFT(p_number, 6), LEFT(p_number, 7), LEFT(p_number, 8), LEFT(p_number, 9), LEFT(p_number, 10),
           LEFT(p_number, 11), LEFT(p_number, 12), LEFT(p_number, 13), LEFT(p_number, 14), LEFT(p_number, 15))
     AND rate.effective_from <= p_now AND (rate.effective_to IS NULL OR rate.effective_to > p_now)
   ORDER BY CHAR_LENGTH(rate.prefix) DESC, rate.effective_from DESC
   LIMIT 1;
  SET p_no_rate = IF(p_rate_id IS NULL, 'destination_unknown', IF(v_is_blocked, 'destination_barred', NULL));
END
