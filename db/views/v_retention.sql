-- What is older than archived_before may be in the archive.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_retention AS
SELECT archived_before FROM retention
