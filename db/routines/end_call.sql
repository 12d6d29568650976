-- Marks a live call to be ended, with a reason for its CDR. Its node looks for marks every second, sends a BYE to both
-- sides, or refuses it while it rings, and it is charged for what was talked. A call whose node is dead is left to
-- reap_calls. Answers node, and silent_ms: how long nothing was heard of it. Marked again it keeps the first reason.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE end_call(
  IN p_call_key LONGTEXT,
  IN p_reason VARCHAR(200)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_node VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin;

  CALL refuse_in_transaction('end_call');
  CALL check_key('end_call', p_call_key, v_key);

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    SELECT node INTO v_node FROM live_call WHERE call_key = v_key;
    IF v_node IS NULL AND (EXISTS (SELECT 1 FROM cdr WHERE call_key = v_key)
                           OR EXISTS (SELECT 1 FROM cdr_archive WHERE call_key = v_key)) THEN
      CALL refuse(CONCAT('call_ended: call ', v_key, ' is over'));
    ELSEIF v_node IS NULL THEN
      CALL refuse(CONCAT('unknown_call: there is no call ', v_key));
    END IF;
    INSERT INTO end_mark (call_key, node, reason, login, marked_at)
    VALUES (v_key, v_node, COALESCE(p_reason, ''), USER(), UTC_TIMESTAMP(6))
    ON DUPLICATE KEY UPDATE call_key = v_key;
    COMMIT;
  END;
  SELECT v_node AS node, TIMESTAMPDIFF(MICROSECOND, MAX(heartbeat_at), UTC_TIMESTAMP(6)) DIV 1000 AS silent_ms
    FROM node
   WHERE name = v_node;
END
