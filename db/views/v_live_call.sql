-- Calls in progress. deadline_in_ms: until the last funded second is over, by this clock; NULL while it rings.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_live_call AS
SELECT call_key, node, account_id, user_id, state, caller, callee, dialled, source, sip_call_id, sip_from_tag,
       sip_to_tag, carrier_id, shown, routes IS NOT NULL AS routed, grant_s, limit_s, ring_limit_s, rated_at, opened_at, answered_at, hold_until,
       TIMESTAMPDIFF(MICROSECOND, opened_at, UTC_TIMESTAMP(6)) DIV 1000 AS opened_ago_ms,
       TIMESTAMPDIFF(MICROSECOND, answered_at, UTC_TIMESTAMP(6)) DIV 1000 AS answered_ago_ms,
       TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), answered_at + INTERVAL grant_s SECOND) DIV 1000 AS deadline_in_ms
  FROM live_call
