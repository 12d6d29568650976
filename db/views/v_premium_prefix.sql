-- Ranges of premium numbers, barred for accounts without premium_allowed.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_premium_prefix AS
SELECT prefix, name, source FROM premium_prefix
