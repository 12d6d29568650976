-- Whether each node finds a carrier there (up), or not (down), and since when.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER
VIEW v_carrier_state AS
SELECT carrier_state.carrier_id, carrier.name, carrier_state.node, carrier_state.state, carrier_state.since
  FROM carrier_state
  JOIN carrier ON carrier.id = carrier_state.carrier_id
