-- Changes a minute bundle; NULL leaves a value as it is. Other seconds count from the next period of each account on,
-- other prefixes and another priority from the next call on. Its kind of period stays.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE change_bundle(
  IN p_name VARCHAR(64),
  IN p_seconds BIGINT,
  IN p_prefixes LONGTEXT,
  IN p_priority INT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('change_bundle');
  CALL check_bundle(p_name, p_seconds, NULL, p_prefixes);
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_bundle(p_name, v_id);
    UPDATE bundle SET seconds = COALESCE(p_seconds, seconds), priority = COALESCE(p_priority, priority) WHERE id = v_id;
    IF p_prefixes IS NOT NULL THEN
      CALL put_bundle_prefixes(v_id, p_prefixes);
    END IF;
    COMMIT;
  END;
  SELECT v_id AS id;
END
