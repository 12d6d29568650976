-- Archived call detail records, as v_cdr shows the others.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_cdr_archive AS
SELECT cdr.call_key, cdr.node, cdr.account_id, account.name AS account_name, cdr.user_id, user.name AS user_name,
       cdr.caller, cdr.callee, cdr.dialled, cdr.source, cdr.sip_call_id, cdr.carrier_id, carrier.name AS carrier_name,
       cdr.rated_at, cdr.opened_at, cdr.answered_at, cdr.ended_at, cdr.grant_s, cdr.talked_ms, cdr.billed_s,
       cdr.result, cdr.detail, cdr.end_reason, cdr.sip_code, cdr.provisional, cdr.settled_at, cdr.shown,
       cdr.carrier_tariff_id, cdr.carrier_currency, cdr.carrier_rate, cdr.carrier_cost, cdr.routes
  FROM cdr_archive AS cdr
  LEFT JOIN account ON account.id = cdr.account_id
  LEFT JOIN user ON user.id = cdr.user_id
  LEFT JOIN carrier ON carrier.id = cdr.carrier_id
