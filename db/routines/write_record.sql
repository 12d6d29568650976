-- Writes the CDR of record_call. A CDR must not be lost for a long header: what came over the wire is cut to its
-- column's width. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE write_record(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_content LONGTEXT,
  IN p_now DATETIME(6)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  INSERT INTO cdr (
    call_key, node, account_id, user_id, caller, callee, dialled, source, sip_call_id, carrier_id,
    opened_at, answered_at, ended_at, talked_ms, result, detail, end_reason, sip_code, settled_at, shown
  )
  SELECT p_key, node, account_id, user_id, LEFT(caller, 64), LEFT(callee, 32), LEFT(dialled, 64), LEFT(source, 64),
         LEFT(sip_call_id, 255), carrier_id,
         p_now - INTERVAL opened_ago_ms * 1000 MICROSECOND,
         p_now - INTERVAL answered_ago_ms * 1000 MICROSECOND,
         p_now - INTERVAL
           COALESCE(ended_ago_ms, GREATEST(COALESCE(answered_ago_ms, opened_ago_ms), talked_ms) - talked_ms) * 1000
           MICROSECOND,
         talked_ms, result, LEFT(detail, 255), end_reason, sip_code, p_now,
         LEFT(shown, 64)
    FROM JSON_TABLE(p_content, '$' COLUMNS (
      node TEXT PATH '$.node',
      account_id TEXT PATH '$.account',
      user_id TEXT PATH '$.user',
      caller TEXT PATH '$.caller',
      callee TEXT PATH '$.callee',
      dialled TEXT PATH '$.dialled',
      source TEXT PATH '$.source',
      sip_call_id TEXT PATH '$.sip_call_id',
      carrier_id TEXT PATH '$.carrier',
      opened_ago_ms BIGINT UNSIGNED PATH '$.opened_ago_ms',
      answered_ago_ms BIGINT UNSIGNED PATH '$.answered_ago_ms',
      ended_ago_ms BIGINT UNSIGNED PATH '$.ended_ago_ms',
      talked_ms BIGINT UNSIGNED PATH '$.talked_ms' DEFAULT '0' ON EMPTY,
      result TEXT PATH '$.result',
      detail TEXT PATH '$.detail' DEFAULT '' ON EMPTY,
      end_reason TEXT PATH '$.end_reason' DEFAULT '' ON EMPTY,
      sip_code TEXT PATH '$.sip_code',
      shown TEXT PATH '$.shown' DEFAULT '' ON EMPTY
    )) AS content;
END
