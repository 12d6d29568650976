-- Refuses a schedule that no call could be priced by: the forms and their rules stand in billing/pricelist.py, which
-- reads it. NULL is none. JSON_TABLE's JSON columns keep a value as it is written, so "60" is told from 60. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_schedule(
  IN p_what VARCHAR(128),
  IN p_schedule LONGTEXT
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  DECLARE v_amount VARCHAR(60) DEFAULT '\\A("[0-9]{1,12}([.][0-9]{1,6})?"|[0-9]{1,12})\\z';
  DECLARE v_weekly BOOLEAN;
  DECLARE v_windows, v_slots, v_fee LONGTEXT;
  DECLARE v_wrong VARCHAR(200);
  DECLARE EXIT HANDLER FOR 4037, 4038 -- errors of JSON functions: JSON_VALID lets a line feed in a key pass
    CALL refuse(CONCAT('invalid_content: ', p_what, ': its schedule is no JSON'));

  IF NOT JSON_VALID(p_schedule) THEN
    CALL refuse(CONCAT('invalid_content: ', p_what, ': its schedule is no JSON'));
  ELSEIF INSTR(p_schedule, '\\') > 0 THEN -- no key or value needs one, and MariaDB reads those that are none
    CALL refuse(CONCAT('invalid_content: ', p_what, ': its schedule has a backslash'));
  END IF;
  SET v_windows = JSON_EXTRACT(p_schedule, '$.windows'), v_slots = JSON_EXTRACT(p_schedule, '$.slots'),
      v_fee = JSON_EXTRACT(p_schedule, '$.connect_fee'), v_weekly = v_windows IS NOT NULL;
  SET v_wrong = CASE
    WHEN JSON_TYPE(p_schedule) <> 'OBJECT' THEN 'is no object'
    WHEN JSON_LENGTH(p_schedule) <> (v_windows IS NOT NULL) + (v_slots IS NOT NULL) + (v_fee IS NOT NULL)
      THEN 'has a key that is unknown or stands twice'
    WHEN v_weekly AND (v_slots IS NOT NULL OR v_fee IS NOT NULL) THEN 'has slots or a connect_fee beside windows'
    WHEN NOT v_weekly AND v_slots IS NULL THEN 'has neither windows nor slots'
    WHEN NOT v_fee REGEXP v_amount THEN 'has a connect_fee that is no amount'
    WHEN v_weekly AND (JSON_TYPE(v_windows) <> 'ARRAY' OR JSON_LENGTH(v_windows) = 0) THEN 'has no windows'
  END;

  IF v_wrong IS NULL AND NOT v_weekly THEN
    SET v_windows = CONCAT('[{"iso_weekdays":[1,2,3,4,5,6,7],"from_time":"00:00","slots":', v_slots, '}]');
  END IF;

  IF v_wrong IS NULL THEN
    SELECT CONCAT(IF(v_weekly, CONCAT('windows[', judged.number - 1, ']: '), ''), judged.wrong) INTO v_wrong
      FROM (
        SELECT given.number,
               CASE
                 WHEN JSON_TYPE(given.whole) <> 'OBJECT' THEN 'is no object'
                 WHEN JSON_LENGTH(given.whole) <> (given.weekdays IS NOT NULL) + (given.from_time IS NOT NULL)
                                                  + (given.connect_fee IS NOT NULL) + (given.slots IS NOT NULL)
                   THEN 'has a key that is unknown or stands twice'
                 WHEN NOT COALESCE(JSON_COMPACT(given.weekdays) REGEXP '\\A\\[[1-7](,[1-7])*\\]\\z', FALSE)
                   THEN 'iso_weekdays is no list of 1 to 7'
                 WHEN given.weekdays REGEXP '([1-7]).*\\1' THEN 'iso_weekdays has a day twice'
                 WHEN NOT COALESCE(given.from_time REGEXP '\\A"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?"\\z', FALSE)
                   THEN 'from_time is no time like 18:00:00'
                 WHEN NOT given.connect_fee REGEXP v_amount THEN 'connect_fee is no amount'
                 WHEN COALESCE(JSON_TYPE(given.slots), '') <> 'ARRAY' OR JSON_LENGTH(given.slots) = 0
                   THEN 'has no slots'
               END AS wrong
          FROM JSON_TABLE(v_windows, '$[*]' COLUMNS (
            number FOR ORDINALITY,
            whole JSON PATH '$',
            weekdays JSON PATH '$.iso_weekdays',
            from_time JSON PATH '$.from_time',
            connect_fee JSON PATH '$.connect_fee',
            slots JSON PATH '$.slots'
          )) AS given
      ) AS judged
     WHERE judged.wrong IS NOT NULL
     ORDER BY judged.number
     LIMIT 1;
  END IF;

  IF v_wrong IS NULL THEN
    SELECT CONCAT('windows: two begin at ', MIN(given.from_time), ' on weekday ', given.weekday) INTO v_wrong
      FROM JSON_TABLE(v_windows, '$[*]' COLUMNS (
        from_time VARCHAR(8) PATH '$.from_time',
        NESTED PATH '$.iso_weekdays[*]' COLUMNS (weekday INT PATH '$')
      )) AS given
     GROUP BY given.weekday, RPAD(given.from_time, 8, ':00')
    HAVING COUNT(*) > 1
     LIMIT 1;
  END IF;

  IF v_wrong IS NULL THEN
    SELECT CONCAT(IF(v_weekly, CONCAT('windows[', judged.number - 1, ']: '), ''), 'slots[', judged.place - 1, ']: ',
                  judged.wrong)
      INTO v_wrong
      FROM (
        SELECT given.number, given.place,
               CASE
                 WHEN JSON_TYPE(given.whole) <> 'OBJECT' THEN 'is no object'
                 WHEN JSON_LENGTH(given.whole) <> 4 OR given.from_s IS NULL OR given.rate IS NULL OR given.per_s IS NULL
                      OR given.increment_s IS NULL
                   THEN 'has other keys than from_s, rate, per_s and increment_s'
                 WHEN NOT given.from_s REGEXP '\\A[0-9]{1,10}\\z' OR given.from_s > 2147483647
                   THEN 'from_s is no whole number up to 2147483647'
                 WHEN NOT given.rate REGEXP v_amount THEN 'rate is no amount'
                 WHEN NOT given.per_s REGEXP '\\A[1-9][0-9]{0,9}\\z' OR given.per_s > 2147483647
                   THEN 'per_s is no whole number from 1 to 2147483647'
                 WHEN NOT given.increment_s REGEXP '\\A[1-9][0-9]{0,9}\\z' OR given.increment_s > 2147483647
                   THEN 'increment_s is no whole number from 1 to 2147483647'
                 WHEN given.place = 1 AND given.from_s <> 0 THEN 'from_s of the first is 0'
                 WHEN given.from_s <= LAG(CAST(given.from_s AS UNSIGNED))
                                      OVER (PARTITION BY given.number ORDER BY given.place)
                   THEN 'from_s does not come after the one before'
               END AS wrong
          FROM JSON_TABLE(v_windows, '$[*]' COLUMNS (
            number FOR ORDINALITY,
            NESTED PATH '$.slots[*]' COLUMNS (
              place FOR ORDINALITY,
              whole JSON PATH '$',
              from_s JSON PATH '$.from_s',
              rate JSON PATH '$.rate',
              per_s JSON PATH '$.per_s',
              increment_s JSON PATH '$.increment_s'
            )
          )) AS given
      ) AS judged
     WHERE judged.wrong IS NOT NULL
     ORDER BY judged.number, judged.place
     LIMIT 1;
  END IF;

  IF v_wrong IS NOT NULL THEN
    CALL refuse(CONCAT('invalid_content: ', p_what, ': its schedule ', v_wrong));
  END IF;
END
