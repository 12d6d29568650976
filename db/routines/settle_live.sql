-- Settles a live call at the charges of settle_call. Purses and call are locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE settle_live(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_content LONGTEXT,
  IN p_now DATETIME(6)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_legs LONGTEXT;

  SELECT JSON_ARRAYAGG(JSON_OBJECT('leg', leg, 'most', hold, 'covered', covered_s)) INTO v_legs
    FROM live_leg
   WHERE call_key = p_key;
  CALL check_charges(p_key, p_content, v_legs);
  CALL close_call(
    p_key,
    JSON_VALUE(p_content, '$.talked_ms'),
    JSON_VALUE(p_content, '$.billed_s'),
    JSON_VALUE(p_content, '$.result'),
    LEFT(COALESCE(JSON_VALUE(p_content, '$.detail'), ''), 255),
    COALESCE(JSON_VALUE(p_content, '$.end_reason'), ''),
    JSON_VALUE(p_content, '$.sip_code'),
    JSON_VALUE(p_content, '$.carrier'),
    p_now - INTERVAL JSON_VALUE(p_content, '$.ended_ago_ms') * 1000 MICROSECOND,
    JSON_EXTRACT(p_content, '$.legs'),
    JSON_VALUE(p_content, '$.carrier_cost')
  );
END
