-- A range that is premium no more.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE remove_premium_prefix(IN p_prefix TEXT)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  CALL refuse_in_transaction('remove_premium_prefix');

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    DELETE FROM premium_prefix WHERE prefix = CONVERT(p_prefix USING ascii);
    IF ROW_COUNT() = 0 THEN
      CALL refuse(CONCAT('unknown_prefix: there is no premium prefix ', COALESCE(LEFT(p_prefix, 40), 'NULL')));
    END IF;
    COMMIT;
  END;
END
