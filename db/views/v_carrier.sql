-- Carriers, disabled ones too.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_carrier AS
SELECT id AS carrier_id, name, host, port, transport, priority, weight, status, tariff_id, dial_prefix
  FROM carrier
