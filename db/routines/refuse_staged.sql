-- Says which of the rates that stage_rates was given is wrong, and why; nothing, if each is right. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE refuse_staged(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_rates LONGTEXT
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  DECLARE v_position INT;
  DECLARE v_what TEXT;
  DECLARE v_amount VARCHAR(40) DEFAULT '\\A[0-9]{1,12}([.][0-9]{1,6})?\\z';
  DECLARE v_seconds VARCHAR(40) DEFAULT '\\A(?=.*[1-9])[0-9]{1,9}\\z';
  DECLARE v_time VARCHAR(100)
    DEFAULT '\\A[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?\\z';

  SELECT judged.position, judged.wrong INTO v_position, v_what
    FROM (
      SELECT given.position,
             CASE
               WHEN NOT COALESCE(given.number REGEXP v_seconds, FALSE) THEN CONCAT('number ', COALESCE(given.number, 'NULL'))
               WHEN NOT COALESCE(given.line, '0') REGEXP '\\A[0-9]{1,9}\\z' THEN CONCAT('line ', given.line)
               WHEN NOT COALESCE(given.prefix REGEXP '\\A[0-9]{1,20}\\z', FALSE)
                    THEN CONCAT('prefix ', COALESCE(given.prefix, 'NULL'))
               WHEN given.destination IS NULL OR CHAR_LENGTH(given.destination) > 64
                    THEN CONCAT('destination ', COALESCE(given.destination, 'NULL'))
               WHEN NOT given.connect_fee REGEXP v_amount THEN CONCAT('connect_fee ', given.connect_fee)
               WHEN NOT COALESCE(given.price REGEXP v_amount, FALSE)
                    THEN CONCAT('price ', COALESCE(given.price, 'NULL'))
               WHEN NOT given.per_s REGEXP v_seconds THEN CONCAT('per_s ', given.per_s)
               WHEN NOT given.initial_s REGEXP v_seconds THEN CONCAT('initial_s ', given.initial_s)
               WHEN NOT given.increment_s REGEXP v_seconds THEN CONCAT('increment_s ', given.increment_s)
               WHEN NOT given.free_seconds REGEXP '\\A[0-9]{1,9}\\z' OR given.free_seconds > 31 * 86400
                    THEN CONCAT('free_seconds ', given.free_seconds)
               WHEN NOT given.max_cost REGEXP v_amount THEN CONCAT('max_cost ', given.max_cost)
               WHEN given.max_cost_rule NOT IN ('disconnect', 'free') THEN CONCAT('max_cost_rule ', given.max_cost_rule)
               WHEN NOT JSON_VALID(given.schedule) THEN CONCAT('schedule ', given.schedule)
               WHEN NOT COALESCE(given.effective_from REGEXP v_time, FALSE)
                    THEN CONCAT('effective_from ', COALESCE(given.effective_from, 'NULL'))
               WHEN NOT given.effective_to REGEXP v_time THEN CONCAT('effective_to ', given.effective_to)
               WHEN given.effective_to <= given.effective_from
                    THEN CONCAT('effective_to ', given.effective_to, ', before it begins')
               WHEN given.blocked NOT IN ('0', '1') THEN CONCAT('blocked ', given.blocked)
             END AS wrong
        FROM JSON_TABLE(p_rates, '$[*]' COLUMNS (
          position FOR ORDINALITY,
          number TEXT PATH '$.number',
          line TEXT PATH '$.line',
          prefix TEXT PATH '$.prefix',
          destination TEXT PATH '$.destination',
          connect_fee TEXT PATH '$.connect_fee' DEFAULT '0' ON EMPTY,
          price TEXT PATH '$.price',
          per_s TEXT PATH '$.per_s' DEFAULT '60' ON EMPTY,
          initial_s TEXT PATH '$.initial_s',
          increment_s TEXT PATH '$.increment_s' DEFAULT '1' ON EMPTY,
          free_seconds TEXT PATH '$.free_seconds' DEFAULT '0' ON EMPTY,
          max_cost TEXT PATH '$.max_cost',
          max_cost_rule TEXT PATH '$.max_cost_rule' DEFAULT 'disconnect' ON EMPTY,
          schedule LONGTEXT PATH '$.schedule',
          effective_from TEXT PATH '$.effective_from',
          effective_to TEXT PATH '$.effective_to',
          blocked TEXT PATH '$.blocked' DEFAULT '0' ON EMPTY
        )) AS given
    ) AS judged
   WHERE judged.wrong IS NOT NULL
   ORDER BY judged.position
   LIMIT 1;

  IF v_what IS NOT NULL THEN
    CALL refuse(CONCAT('invalid_content: rate ', v_position, ' of those given to deck ', p_key, ': ', LEFT(v_what, 100)));
  END IF;
END
