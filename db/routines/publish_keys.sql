-- Gives the CDRs of p_keys, a JSON array, the next positions of the export, those that have none. Begins by locking
-- the counter: batches follow one another, and the positions of one are committed before the next one's are given
-- out. A CDR itself was committed before somebody could name its key. Within the caller's transaction. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE publish_keys(IN p_keys LONGTEXT)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_position BIGINT UNSIGNED;

  SELECT position INTO v_position FROM export_position WHERE id = 1 FOR UPDATE;

  UPDATE JSON_TABLE(p_keys, '$[*]' COLUMNS (
           number FOR ORDINALITY,
           call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin PATH '$'
         )) AS fresh
         STRAIGHT_JOIN cdr FORCE INDEX (PRIMARY) ON cdr.call_key = fresh.call_key
     SET cdr.position = v_position + fresh.number,
         cdr.version = cdr.version + 1
   WHERE cdr.position = 0;

  UPDATE export_position SET position = v_position + JSON_LENGTH(p_keys) WHERE id = 1;
END
