-- Refuses the first of the rates that stage_rates was given whose schedule no call could be priced by, or is no text:
-- as an object it would be taken for none, and the flat price would count. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_staged_schedules(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_rates LONGTEXT
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  FOR given IN (
    SELECT position, written, schedule
      FROM JSON_TABLE(p_rates, '$[*]' COLUMNS (
        position FOR ORDINALITY,
        written JSON PATH '$.schedule',
        schedule LONGTEXT PATH '$.schedule'
      )) AS staged
     WHERE written <> 'null'
     ORDER BY position
  ) DO
    IF given.schedule IS NULL THEN
      CALL refuse(CONCAT('invalid_content: rate ', given.position, ' of those given to deck ', p_key,
                         ': its schedule is no text'));
    END IF;
    CALL check_schedule(CONCAT('rate ', given.position, ' of those given to deck ', p_key), given.schedule);
  END FOR;
END
