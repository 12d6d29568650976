-- Attempts at carriers that failed before their calls went on to the next one, archived or not; the last attempt of a
-- call is its CDR's. Ask for calls by key.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_attempt AS
SELECT attempt.call_key, attempt.ordinal, attempt.carrier_id, carrier.name AS carrier_name, attempt.sip_code,
       attempt.failed_at
  FROM attempt
  LEFT JOIN carrier ON carrier.id = attempt.carrier_id
UNION ALL
SELECT attempt.call_key, attempt.ordinal, attempt.carrier_id, carrier.name, attempt.sip_code, attempt.failed_at
  FROM attempt_archive AS attempt
  LEFT JOIN carrier ON carrier.id = attempt.carrier_id
