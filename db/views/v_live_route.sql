-- What the carriers that a call in progress may take asked for it when it was opened; only for calls with such carriers.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_live_route AS
SELECT call_key, routes
  FROM live_call
 WHERE routes IS NOT NULL
