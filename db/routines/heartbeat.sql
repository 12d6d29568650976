-- Node p_node is alive; p_up_ms is how long it has been up, NULL if the node does not say.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE heartbeat(
  IN p_node VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_up_ms BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);
  DECLARE v_booted_at DATETIME(6) DEFAULT v_now - INTERVAL p_up_ms * 1000 MICROSECOND;

  CALL refuse_in_transaction('heartbeat');
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    START TRANSACTION READ WRITE;
    INSERT INTO node (name, booted_at, heartbeat_at)
    VALUES (p_node, COALESCE(v_booted_at, v_now), v_now)
    ON DUPLICATE KEY UPDATE booted_at = COALESCE(v_booted_at, booted_at), heartbeat_at = v_now;
    COMMIT;
  END;
END
