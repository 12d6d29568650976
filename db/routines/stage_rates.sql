-- Adds rates to a deck: a JSON array of objects with number (counts the deck's rates from 1 on), line (of the file),
-- prefix, destination, connect_fee, price, per_s, initial_s, increment_s, free_seconds, max_cost, max_cost_rule,
-- schedule (a text), effective_from, effective_to and blocked (0 or 1). Only number, prefix, destination, price and
-- effective_from must be there. Amounts and times are texts. A portion that is staged again replaces itself. Answers
-- how many it staged.
--
-- Everything is read as text and converted by the strict INSERT, because JSON_TABLE itself would clip and cut; what
-- is no amount becomes NULL, which the columns do not take. Only then is it asked which rate it was: a look at each
-- text in its own pass would double the time of a million.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE stage_rates(
  IN p_key LONGTEXT,
  IN p_rates LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_deck_id BIGINT UNSIGNED;
  DECLARE v_tariff_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('stage_rates');
  CALL check_key('stage_rates', p_key, v_key);
  IF NOT COALESCE(JSON_VALID(p_rates), FALSE) OR JSON_TYPE(p_rates) <> 'ARRAY' THEN
    CALL refuse(CONCAT('invalid_content: the rates of deck ', v_key, ' are no JSON array'));
  END IF;
  BEGIN
    DECLARE EXIT HANDLER FOR SQLSTATE '45000' -- a refusal, which says what it is about
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      CALL refuse_staged(v_key, p_rates);
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL lock_deck(v_key, v_deck_id, v_tariff_id);
    UPDATE deck SET state = 'open' WHERE id = v_deck_id;
    INSERT INTO deck_rate (
      deck_id, prefix, effective_from, number, line, destination, connect_fee, price, per_s, initial_s, increment_s,
      free_seconds, max_cost, max_cost_rule, schedule, effective_to, blocked, open_ended
    )
    SELECT v_deck_id, IF(given.prefix REGEXP '\\A[0-9]{1,20}\\z', given.prefix, NULL), given.effective_from,
           NULLIF(CAST(given.number AS UNSIGNED), 0), CAST(given.line AS UNSIGNED), given.destination,
           IF(given.connect_fee REGEXP '\\A[0-9]{1,12}([.][0-9]{1,6})?\\z', given.connect_fee, NULL),
           IF(given.price REGEXP '\\A[0-9]{1,12}([.][0-9]{1,6})?\\z', given.price, NULL),
           NULLIF(CAST(given.per_s AS UNSIGNED), 0),
           IF(CAST(given.initial_s AS UNSIGNED) = 0, -1, CAST(given.initial_s AS UNSIGNED)),
           NULLIF(CAST(given.increment_s AS UNSIGNED), 0),
           IF(CAST(given.free_seconds AS UNSIGNED) > 31 * 86400, -1, CAST(given.free_seconds AS UNSIGNED)),
           IF(given.max_cost IS NULL OR given.max_cost REGEXP '\\A[0-9]{1,12}([.][0-9]{1,6})?\\z', given.max_cost, -1e20),
           given.max_cost_rule, given.schedule, given.effective_to, IF(given.blocked IN ('0', '1'), given.blocked, NULL),
           given.effective_to IS NULL
      FROM JSON_TABLE(p_rates, '$[*]' COLUMNS (
        number TEXT PATH '$.number',
        line TEXT PATH '$.line' DEFAULT '0' ON EMPTY,
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
    ON DUPLICATE KEY UPDATE line = VALUES(line);
    IF p_rates LIKE '%"schedule"%' THEN -- few have one, and another pass takes as long as this one
      CALL check_staged_schedules(v_key, p_rates);
    END IF;
    COMMIT;
  END;
  SELECT JSON_LENGTH(p_rates) AS staged;
END
