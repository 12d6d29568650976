-- p_actor has seen the alarms of an account. Answers how many had not been acknowledged. A limit that refuses its
-- first call later raises its alarm anew. Locks the purse, as every routine that writes alarms does.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE acknowledge_alarms(
  IN p_account_id BIGINT UNSIGNED,
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_alarms INT DEFAULT 0;

  CALL refuse_in_transaction('acknowledge_alarms');
  IF TRIM(COALESCE(p_actor, '')) = '' THEN
    CALL refuse(CONCAT('invalid_content: acknowledge_alarms of account ', COALESCE(p_account_id, 'NULL'),
                       ' names no actor'));
  END IF;
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL lock_purses(JSON_ARRAY(p_account_id));
    UPDATE alarm SET acknowledged_at = UTC_TIMESTAMP(6), acknowledged_by = p_actor
     WHERE account_id = p_account_id AND acknowledged_at IS NULL;
    SET v_alarms = ROW_COUNT();
    COMMIT;
  END;
  SELECT v_alarms AS alarms;
END
