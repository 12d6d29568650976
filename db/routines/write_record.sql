-- Writes the CDR of record_call. A CDR must not be lost for a long header: what came over the wire is cut to its column's
-- width. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE write_record(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_content LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);

  INSERT INTO cdr (
    call_key, node, account_id, user_id, caller, callee, dialled, source, sip_call_id, carrier_id,
    opened_at, answered_at, ended_at, talked_ms, result, detail, end_reason, sip_code, settled_at
  )
  SELECT p_key, node, account_id, user_id, LEFT(caller, 64), LEFT(callee, 32), LEFT(dialled, 64), LEFT(source, 64),
         LEFT(sip_call_id, 255), carrier_id,
         v_now - INTERVAL opened_ago_ms * 1000 MICROSECOND,
         v_now - INTERVAL answered_ago_ms * 1000 MICROSECOND,
         v_now - INTERVAL
           COALESCE(ended_ago_ms, GREATEST(COALESCE(answered_ago_ms, opened_ago_ms), talked_ms) - talked_ms) * 1000
           MICROSECOND,
         talked_ms, result, LEFT(detail, 255), end_reason, sip_code, v_now
    FROM JSON_TABLE(p_content, '$' COLUMNS (
      node VARCHAR(64) PATH '$.node',
      account_id BIGINT UNSIGNED PATH '$.account',
      user_id BIGINT UNSIGNED PATH '$.user',
      caller TEXT PATH '$.caller',
      callee TEXT PATH '$.callee',
      dialled TEXT PATH '$.dialled',
      source TEXT PATH '$.source',
      sip_call_id TEXT PATH '$.sip_call_id',
      carrier_id BIGINT UNSIGNED PATH '$.carrier',
      opened_ago_ms BIGINT UNSIGNED PATH '$.opened_ago_ms',
      answered_ago_ms BIGINT UNSIGNED PATH '$.answered_ago_ms',
      ended_ago_ms BIGINT UNSIGNED PATH '$.ended_ago_ms',
      talked_ms BIGINT UNSIGNED PATH '$.talked_ms' DEFAULT '0' ON EMPTY,
      result VARCHAR(32) PATH '$.result',
      detail TEXT PATH '$.detail' DEFAULT '' ON EMPTY,
      end_reason VARCHAR(32) PATH '$.end_reason' DEFAULT '' ON EMPTY,
      sip_code SMALLINT UNSIGNED PATH '$.sip_code'
    )) AS content;
END
