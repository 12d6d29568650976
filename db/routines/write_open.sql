-- Writes the call that judge_open let pass, with the holds of step p_step. Internal.
--
-- What came over the wire (dialled, source, Call-ID, tags) is cut to the width of its column: it identifies, and is
-- not what is rated. Everything else that does not fit is an error: it is read as text and converted by the strict
-- INSERT, because JSON_TABLE itself would clip and cut. CONCAT(rate): copied straight from column to column, a text of
-- more than 65535 bytes is cut to its length modulo 65536 without an error, strict mode or not.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE write_open(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_content LONGTEXT,
  IN p_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_step INT,
  OUT p_grant_s INT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);

  SET p_grant_s = JSON_VALUE(p_content, CONCAT('$.steps[', p_step - 1, ']'));

  INSERT INTO live_call (
    call_key, node, account_id, user_id, caller, callee, dialled, source, sip_call_id, sip_from_tag,
    shown,
    routes, grant_s, limit_s, ring_limit_s, rated_at, opened_at, hold_until, content_hash
  )
  SELECT p_key, node, account_id, user_id, LEFT(caller, 64), callee, LEFT(dialled, 64), LEFT(source, 64),
         LEFT(sip_call_id, 255), LEFT(sip_from_tag, 128), LEFT(COALESCE(shown, ''), 64),
         JSON_EXTRACT(p_content, '$.routes'), p_grant_s, limit_s, ring_limit_s, rated_at,
         v_now, v_now + INTERVAL ring_limit_s + p_grant_s SECOND, p_hash
    FROM JSON_TABLE(p_content, '$' COLUMNS (
      node TEXT PATH '$.node',
      account_id TEXT PATH '$.legs[0].account',
      user_id TEXT PATH '$.user',
      caller TEXT PATH '$.caller',
      callee TEXT PATH '$.callee',
      dialled TEXT PATH '$.dialled',
      source TEXT PATH '$.source',
      sip_call_id TEXT PATH '$.sip_call_id',
      sip_from_tag TEXT PATH '$.sip_from_tag',
      shown TEXT PATH '$.shown',
      limit_s TEXT PATH '$.limit_s',
      ring_limit_s TEXT PATH '$.ring_limit_s',
      rated_at TEXT PATH '$.rated_at'
    )) AS content;

  INSERT INTO live_leg (call_key, leg, account_id, tariff_id, rate_id, destination, rate, hold, available_before)
  SELECT p_key, content.leg - 1, content.account_id, content.tariff_id, content.rate_id, content.destination,
         CONCAT(content.rate), content.hold, purse.balance + purse.credit_limit - purse.held
    FROM JSON_TABLE(p_content, '$.legs[*]' COLUMNS (
      leg FOR ORDINALITY,
      account_id BIGINT UNSIGNED PATH '$.account',
      tariff_id TEXT PATH '$.tariff',
      rate_id TEXT PATH '$.rate_id',
      destination TEXT PATH '$.destination',
      rate LONGTEXT PATH '$.rate',
      NESTED PATH '$.holds[*]' COLUMNS (step FOR ORDINALITY, hold DECIMAL(18,6) PATH '$')
    )) AS content
    STRAIGHT_JOIN purse ON purse.account_id = content.account_id
   WHERE content.step = p_step;

  UPDATE live_leg STRAIGHT_JOIN purse FORCE INDEX (PRIMARY) ON purse.account_id = live_leg.account_id
     SET purse.held = purse.held + live_leg.hold,
         purse.calls = purse.calls + 1
   WHERE live_leg.call_key = p_key;
END
