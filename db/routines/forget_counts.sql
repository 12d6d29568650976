-- Removes what nobody needs any more: counts of hours that are over, alarms and refused voucher codes after three
-- months, wrong guesses after one, and marks of calls that have ended. Some at a time. No call writes such rows any more,
-- so no lock of a purse is needed.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE forget_counts()
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  CALL refuse_in_transaction('forget_counts');
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    DELETE FROM call_count WHERE hour < UTC_TIMESTAMP() - INTERVAL 2 HOUR ORDER BY hour LIMIT 1000;
    DELETE FROM alarm WHERE since < UTC_TIMESTAMP() - INTERVAL 90 DAY ORDER BY since LIMIT 1000;
    DELETE FROM end_mark
     WHERE NOT EXISTS (SELECT 1 FROM live_call WHERE live_call.call_key = end_mark.call_key)
     LIMIT 1000;
    DELETE FROM voucher_refusal WHERE refused_at < UTC_TIMESTAMP() - INTERVAL 90 DAY ORDER BY refused_at LIMIT 1000;
    DELETE FROM guess_count WHERE last_at < UTC_TIMESTAMP() - INTERVAL 31 DAY ORDER BY last_at LIMIT 1000;
    COMMIT;
  END;
END
