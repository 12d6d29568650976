-- Node p_node never returns: what the reaper charged for its calls is final (accept_provisional), and nobody waits for
-- it any more. Refused while it may be alive, or while it has calls that the reaper has not taken: 30 s after their
-- funding. If it does come back, heartbeat takes it for alive again; its calls stay as they were accepted.
--
-- Answers one row: outcome, 'retired' or, before by whomever, 'already' (calls that were reaped since are accepted all
-- the same); accepted, how many calls; retired_at, retired_by, retired_reason.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE retire_node(
  IN p_node VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_actor VARCHAR(64),
  IN p_reason VARCHAR(255)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_retired_at DATETIME(6);
  DECLARE v_silent_s BIGINT;
  DECLARE v_calls INT;
  DECLARE v_keys LONGTEXT;
  DECLARE v_accepted INT;

  CALL refuse_in_transaction('retire_node');
  CALL check_actor_and_reason(CONCAT('retire_node of node ', COALESCE(p_node, 'NULL')), p_actor, p_reason);

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    -- The row that its heartbeat locks, too.
    SELECT name, retired_at, TIMESTAMPDIFF(SECOND, heartbeat_at, UTC_TIMESTAMP(6))
      INTO v_name, v_retired_at, v_silent_s
      FROM node
     WHERE name = p_node
       FOR UPDATE;
    IF v_name IS NULL THEN
      CALL refuse(CONCAT('unknown_node: there is no node ', COALESCE(p_node, 'NULL')));
    END IF;
    -- The whole minute after which it is called silent (monitor/doctor_ledger.py).
    IF v_silent_s < 60 THEN
      CALL refuse(CONCAT('node_alive: node ', p_node, ' was heard of ', v_silent_s,
                         ' s ago: stop it, and retire it after a minute of silence'));
    END IF;
    -- Before its CDRs are looked up: what is reaped in between is among them.
    SELECT COUNT(*) INTO v_calls FROM live_call WHERE node = p_node;
    IF v_calls > 0 THEN
      CALL refuse(CONCAT('calls_in_progress: node ', p_node, ' has ', v_calls,
                         ' calls that the reaper has not taken yet: it does so 30 s after their funding'));
    END IF;

    SELECT JSON_ARRAYAGG(call_key) INTO v_keys
      FROM cdr FORCE INDEX (cdr_provisional)
     WHERE provisional AND node = p_node;
    CALL accept_provisional(v_keys, p_actor, p_reason, v_accepted);
    DELETE FROM carrier_state WHERE node = p_node; -- what it saw is no news any more
    UPDATE node
       SET retired_at = UTC_TIMESTAMP(6), retired_by = p_actor, retired_login = USER(), retired_reason = p_reason
     WHERE name = p_node AND retired_at IS NULL;
    COMMIT;
  END;
  SELECT IF(v_retired_at IS NULL, 'retired', 'already') AS outcome, v_accepted AS accepted,
         retired_at, retired_by, retired_reason
    FROM node
   WHERE name = p_node;
END
