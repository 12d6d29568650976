-- Settles calls that nobody settled: those whose funding ended more than 30 s ago by this clock, at most p_max, of
-- node p_node or, with NULL, of every node. Each is charged its whole grant and marked provisional: its node may come
-- back with the truth. Answers the keys. Each call is a transaction of its own, and one that fails does not keep the
-- others.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE reap_calls(
  IN p_node VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_max INT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_max INT UNSIGNED DEFAULT LEAST(p_max, 1000);
  DECLARE v_due LONGTEXT;
  DECLARE v_reaped LONGTEXT DEFAULT '[]';
  DECLARE v_failure TEXT;
  DECLARE v_number INT DEFAULT 0;
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;

  CALL refuse_in_transaction('reap_calls');

  SELECT JSON_ARRAYAGG(call_key) INTO v_due
    FROM (SELECT call_key
            FROM live_call
           WHERE hold_until < UTC_TIMESTAMP(6) - INTERVAL 30 SECOND AND (p_node IS NULL OR node = p_node)
           ORDER BY hold_until
           LIMIT v_max) AS due;

  WHILE v_number < COALESCE(JSON_LENGTH(v_due), 0) DO
    BEGIN
      DECLARE v_reason TEXT;
      DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
      BEGIN
        GET DIAGNOSTICS CONDITION 1 v_reason = MESSAGE_TEXT;
        ROLLBACK;
        SET v_failure = COALESCE(v_failure, CONCAT('reap_failed: call ', v_key, ': ', v_reason));
      END;
      SET v_key = JSON_VALUE(v_due, CONCAT('$[', v_number, ']'));
      CALL reap_call(v_key, v_reaped);
    END;
    SET v_number = v_number + 1;
  END WHILE;

  IF v_failure IS NOT NULL THEN
    CALL refuse(v_failure);
  END IF;
  SELECT reaped.call_key FROM JSON_TABLE(v_reaped, '$[*]' COLUMNS (call_key CHAR(26) PATH '$')) AS reaped;
END
