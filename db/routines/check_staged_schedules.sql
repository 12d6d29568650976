-- Refuses the first of the rates that stage_rates was given whose schedule no call could be priced by. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_staged_schedules(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_rates LONGTEXT
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  FOR given IN (
    SELECT position, schedule
      FROM JSON_TABLE(p_rates, '$[*]' COLUMNS (position FOR ORDINALITY, schedule LONGTEXT PATH '$.schedule')) AS staged
     WHERE schedule IS NOT NULL
     ORDER BY position
  ) DO
    CALL check_schedule(CONCAT('rate ', given.position, ' of those given to deck ', p_key), given.schedule);
  END FOR;
END
