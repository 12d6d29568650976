-- Makes or changes the rate of a prefix from p_effective_from (UTC; NULL: since ever), raises the tariff's version,
-- and answers id, version and warning (a reseller's rate under his own buy price; else NULL). Amounts are texts;
-- p_max_cost, p_initial_s, p_schedule and p_effective_to may be NULL.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE put_rate(
  IN p_tariff_id BIGINT UNSIGNED,
  IN p_prefix TEXT,
  IN p_destination VARCHAR(64),
  IN p_connect_fee LONGTEXT,
  IN p_price LONGTEXT,
  IN p_per_s INT UNSIGNED,
  IN p_initial_s INT UNSIGNED,
  IN p_increment_s INT UNSIGNED,
  IN p_free_seconds INT UNSIGNED,
  IN p_max_cost LONGTEXT,
  IN p_max_cost_rule VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_schedule LONGTEXT,
  IN p_effective_from DATETIME(6),
  IN p_effective_to DATETIME(6),
  IN p_blocked BOOLEAN
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_what VARCHAR(64) DEFAULT CONCAT('rate of prefix ', COALESCE(LEFT(p_prefix, 20), 'NULL'));
  DECLARE v_wrong VARCHAR(64);
  DECLARE v_connect_fee DECIMAL(18,6);
  DECLARE v_price DECIMAL(18,6);
  DECLARE v_max_cost DECIMAL(18,6);
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_version BIGINT UNSIGNED;
  DECLARE v_warning TEXT;

  CALL refuse_in_transaction('put_rate');
  IF NOT COALESCE(p_prefix REGEXP '\\A[0-9]{1,20}\\z', FALSE) THEN
    CALL refuse(CONCAT('invalid_content: ', v_what, ': a prefix is 1 to 20 digits'));
  END IF;
  CALL check_amount(CONCAT('connect fee, ', v_what), p_connect_fee, v_connect_fee);
  CALL check_amount(CONCAT('price, ', v_what), p_price, v_price);
  IF p_max_cost IS NOT NULL THEN
    CALL check_amount(CONCAT('max_cost, ', v_what), p_max_cost, v_max_cost);
  END IF;
  SET v_wrong = CASE
    WHEN COALESCE(p_per_s, 0) < 1 THEN 'per_s is 1 or more'
    WHEN COALESCE(p_increment_s, 0) < 1 THEN 'increment_s is 1 or more'
    WHEN p_initial_s < 1 THEN 'initial_s is 1 or more'
    WHEN p_free_seconds IS NULL THEN 'free_seconds is missing'
    WHEN p_free_seconds > 31 * 86400 THEN 'free_seconds is at most 2678400'
    WHEN GREATEST(p_per_s, COALESCE(p_initial_s, 1), p_increment_s) > 2147483647
      THEN 'its seconds are at most 2147483647'
    WHEN p_destination IS NULL THEN 'its destination is missing'
    WHEN p_blocked IS NULL THEN 'blocked is TRUE or FALSE'
    WHEN NOT COALESCE(p_max_cost_rule IN ('disconnect', 'free'), FALSE) THEN 'max_cost_rule is disconnect or free'
    WHEN p_effective_to <= COALESCE(p_effective_from, '1970-01-01 00:00:00') THEN 'it would end before it begins'
  END;
  IF v_wrong IS NOT NULL THEN
    CALL refuse(CONCAT('invalid_content: ', v_what, ': ', v_wrong));
  END IF;
  IF p_schedule IS NOT NULL THEN
    CALL check_schedule(v_what, p_schedule);
  END IF;

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL raise_tariff_version(p_tariff_id, v_version);
    IF EXISTS (SELECT 1 FROM tariff WHERE id = p_tariff_id AND v_max_cost <> ROUND(v_max_cost, decimals)) THEN
      -- It could not be charged, and every call to the prefix would be refused.
      CALL refuse(CONCAT('invalid_content: ', v_what, ': max_cost has more decimals than its tariff'));
    END IF;
    INSERT INTO rate (
      tariff_id, prefix, destination, connect_fee, price, per_s, initial_s, increment_s, free_seconds, max_cost,
      max_cost_rule, schedule, effective_from, effective_to, blocked
    ) VALUES (
      p_tariff_id, p_prefix, p_destination, v_connect_fee, v_price, p_per_s, p_initial_s, p_increment_s,
      p_free_seconds, v_max_cost, p_max_cost_rule, p_schedule, COALESCE(p_effective_from, '1970-01-01 00:00:00'),
      p_effective_to, p_blocked
    )
    ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), destination = p_destination, connect_fee = v_connect_fee,
      price = v_price, per_s = p_per_s, initial_s = p_initial_s, increment_s = p_increment_s,
      free_seconds = p_free_seconds, max_cost = v_max_cost, max_cost_rule = p_max_cost_rule, schedule = p_schedule,
      effective_to = p_effective_to, blocked = p_blocked;
    SET v_id = LAST_INSERT_ID();
    CALL price_warning(v_id, v_warning);
    COMMIT;
  END;
  SELECT v_id AS id, v_version AS version, v_warning AS warning;
END
