-- A row for each level of each call and each failed attempt of it at a carrier (v_attempt), archived or not: what
-- v_traffic, where a call is once and at its last carrier, does not count. Ask for a period of ended_at, the call's.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER
VIEW v_traffic_attempt AS
SELECT cdr.ended_at, cdr.call_key, attempt.ordinal, attempt.carrier_id, carrier.name AS carrier_name, attempt.sip_code,
       (SELECT MAX(leg) FROM cdr_leg AS top WHERE top.call_key = cdr.call_key) - bought.leg + 1 AS level,
       buyer.id AS buyer_id, buyer.name AS buyer_name, buyer.currency, bought.destination
  FROM cdr
  STRAIGHT_JOIN attempt ON attempt.call_key = cdr.call_key
  STRAIGHT_JOIN cdr_leg AS bought ON bought.call_key = cdr.call_key
  STRAIGHT_JOIN account AS buyer ON buyer.id = bought.account_id
  LEFT JOIN carrier ON carrier.id = attempt.carrier_id
UNION ALL
SELECT cdr.ended_at, cdr.call_key, attempt.ordinal, attempt.carrier_id, carrier.name, attempt.sip_code,
       (SELECT MAX(leg) FROM cdr_leg_archive AS top WHERE top.call_key = cdr.call_key) - bought.leg + 1,
       buyer.id, buyer.name, buyer.currency, bought.destination
  FROM cdr_archive AS cdr
  STRAIGHT_JOIN attempt_archive AS attempt ON attempt.call_key = cdr.call_key
  STRAIGHT_JOIN cdr_leg_archive AS bought ON bought.call_key = cdr.call_key
  STRAIGHT_JOIN account AS buyer ON buyer.id = bought.account_id
  LEFT JOIN carrier ON carrier.id = attempt.carrier_id
