-- Calls whose provisional charge was made final: by whom and why, and what their nodes told later, if they did.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_accepted_call AS
SELECT call_key, node, accepted_at, actor, login, reason, told_at, told_result, told_talked_ms, told_billed_s, told_legs
  FROM accepted_call
