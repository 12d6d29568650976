-- Answered calls in progress at carriers with channels, by node.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_carrier_use AS
SELECT live_call.carrier_id, live_call.node, COUNT(*) AS calls
  FROM live_call
  JOIN carrier ON carrier.id = live_call.carrier_id
 WHERE carrier.channels IS NOT NULL
 GROUP BY live_call.carrier_id, live_call.node
