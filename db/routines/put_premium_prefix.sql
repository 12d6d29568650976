-- A range of premium numbers: barred for every account without premium_allowed, unless it allows the prefix or a longer
-- one. A node hears of it within a second or two.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE put_premium_prefix(
  IN p_prefix TEXT,
  IN p_name VARCHAR(64),
  IN p_source VARCHAR(128)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  CALL refuse_in_transaction('put_premium_prefix');
  IF NOT COALESCE(p_prefix REGEXP '\\A[0-9]{1,20}\\z', FALSE) THEN
    CALL refuse(CONCAT('invalid_content: prefix ', COALESCE(LEFT(p_prefix, 40), 'NULL'), ' is not 1 to 20 digits'));
  END IF;

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    INSERT INTO premium_prefix (prefix, name, source) VALUES (p_prefix, p_name, COALESCE(p_source, ''))
    ON DUPLICATE KEY UPDATE name = p_name, source = COALESCE(p_source, '');
    COMMIT;
  END;
END
