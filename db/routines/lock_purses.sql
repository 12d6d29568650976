-- Locks the purses of p_accounts, a JSON array of 1 to 8 account ids, each once. Always the first lock of a routine,
-- and always in ascending order of id (a range scan of the primary key), so that no two routines wait for each other.
-- FORCE INDEX here and in the UPDATEs of purses: on a table of few rows the optimizer may prefer to scan all of it, and
-- would lock everybody's. Under a purse's lock the money of its account stands still, and so do its status, its live
-- calls and the keys spent on it. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE lock_purses(IN p_accounts LONGTEXT)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_wanted INT DEFAULT COALESCE(JSON_LENGTH(p_accounts), 0);
  DECLARE v_locked INT;

  IF v_wanted NOT BETWEEN 1 AND 8 THEN
    CALL refuse(CONCAT('invalid_content: a chain has 1 to 8 accounts, not ', v_wanted));
  END IF;

  SELECT COUNT(*) INTO v_locked
    FROM purse FORCE INDEX (PRIMARY)
   WHERE account_id IN (
           CAST(JSON_VALUE(p_accounts, '$[0]') AS UNSIGNED), CAST(JSON_VALUE(p_accounts, '$[1]') AS UNSIGNED),
           CAST(JSON_VALUE(p_accounts, '$[2]') AS UNSIGNED), CAST(JSON_VALUE(p_accounts, '$[3]') AS UNSIGNED),
           CAST(JSON_VALUE(p_accounts, '$[4]') AS UNSIGNED), CAST(JSON_VALUE(p_accounts, '$[5]') AS UNSIGNED),
           CAST(JSON_VALUE(p_accounts, '$[6]') AS UNSIGNED), CAST(JSON_VALUE(p_accounts, '$[7]') AS UNSIGNED))
     FOR UPDATE;

  IF v_locked < v_wanted THEN
    CALL refuse_accounts(p_accounts);
  END IF;
END
