-- A month stays: a node's journal may come back late, and what is spent in a day is counted from its entries.
-- Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_archive_before(IN p_before DATETIME(6))
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  IF p_before IS NULL OR p_before > UTC_TIMESTAMP(6) - INTERVAL 30 DAY THEN
    CALL refuse(CONCAT('too_young: the last 30 days are not archived, and ', COALESCE(p_before, 'NULL'),
                       ' is not before them'));
  END IF;
END
