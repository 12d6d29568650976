-- Instance p_instance of node p_node is alive, at p_place; p_up_ms is how long it has been up, NULL if it does not say.
-- A node's name belongs to one instance (billing/instance.py) until nothing was heard of it for 10 s by this clock.
-- Answers outcome, 'alive' or 'taken', and whose the name is: instance, place, silent_ms. NULL claims nothing.
-- A node that was retired is alive again; retired_by says who had thought otherwise.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE heartbeat(
  IN p_node VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_up_ms BIGINT UNSIGNED,
  IN p_instance VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_place TEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);
  DECLARE v_booted_at DATETIME(6) DEFAULT v_now - INTERVAL p_up_ms * 1000 MICROSECOND;
  DECLARE v_instance VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_place VARCHAR(255);
  DECLARE v_heard_at DATETIME(6);
  DECLARE v_retired_by VARCHAR(64);
  DECLARE v_outcome VARCHAR(32) DEFAULT 'alive';

  CALL refuse_in_transaction('heartbeat');
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    SELECT instance, place, heartbeat_at, retired_by INTO v_instance, v_place, v_heard_at, v_retired_by
      FROM node
     WHERE name = p_node
       FOR UPDATE;

    IF v_instance <> p_instance AND v_heard_at > v_now - INTERVAL 10 SECOND THEN
      SET v_outcome = 'taken';
    ELSE
      SET v_instance = COALESCE(p_instance, v_instance);
      SET v_place = COALESCE(LEFT(p_place, 255), v_place, '');
      SET v_heard_at = v_now;
      INSERT INTO node (name, booted_at, heartbeat_at, instance, place)
      VALUES (p_node, COALESCE(v_booted_at, v_now), v_now, v_instance, v_place)
      ON DUPLICATE KEY UPDATE
        booted_at = COALESCE(v_booted_at, booted_at), heartbeat_at = v_now, instance = v_instance, place = v_place,
        retired_at = NULL, retired_by = NULL, retired_login = NULL, retired_reason = NULL;
    END IF;
    COMMIT;
  END;
  SELECT v_outcome AS outcome, v_instance AS instance, v_place AS place,
         TIMESTAMPDIFF(MICROSECOND, v_heard_at, v_now) DIV 1000 AS silent_ms,
         v_retired_by AS retired_by;
END
