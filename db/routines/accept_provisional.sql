-- Makes the charges of those CDRs of p_keys, a JSON array, final that are provisional: they stay charged at their whole
-- grants, and say by whom and why. Moves no money, and so locks no purse; what their nodes tell later waits at the CDR
-- (settle_call) and finds it settled. Within the caller's transaction. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE accept_provisional(
  IN p_keys LONGTEXT,
  IN p_actor VARCHAR(64),
  IN p_reason VARCHAR(255),
  OUT p_accepted INT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_keys LONGTEXT;

  SELECT JSON_ARRAYAGG(cdr.call_key) INTO v_keys
    FROM JSON_TABLE(COALESCE(p_keys, '[]'), '$[*]' COLUMNS (
           call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS chosen
    STRAIGHT_JOIN cdr FORCE INDEX (PRIMARY) ON cdr.call_key = chosen.call_key
   WHERE cdr.provisional
     FOR UPDATE;
  SET p_accepted = COALESCE(JSON_LENGTH(v_keys), 0);

  INSERT INTO accepted_call (call_key, node, accepted_at, actor, login, reason)
  SELECT cdr.call_key, cdr.node, UTC_TIMESTAMP(6), p_actor, USER(), p_reason
    FROM JSON_TABLE(COALESCE(v_keys, '[]'), '$[*]' COLUMNS (
           call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS chosen
    STRAIGHT_JOIN cdr FORCE INDEX (PRIMARY) ON cdr.call_key = chosen.call_key;

  UPDATE JSON_TABLE(COALESCE(v_keys, '[]'), '$[*]' COLUMNS (
           call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS chosen
         STRAIGHT_JOIN cdr FORCE INDEX (PRIMARY) ON cdr.call_key = chosen.call_key
     SET cdr.provisional = FALSE,
         cdr.detail = LEFT(CONCAT('accepted by ', p_actor, ': ', p_reason), 255),
         cdr.routes = NULL,
         cdr.position = 0; -- so that the export publishes it again
END
