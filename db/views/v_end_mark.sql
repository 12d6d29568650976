-- Live calls that somebody wants to end and that have not ended yet.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_end_mark AS
SELECT end_mark.call_key, end_mark.node, end_mark.reason, end_mark.login, end_mark.marked_at, live_call.account_id,
       live_call.state, live_call.sip_call_id, live_call.sip_from_tag, live_call.sip_to_tag
  FROM end_mark
  STRAIGHT_JOIN live_call ON live_call.call_key = end_mark.call_key
