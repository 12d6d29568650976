-- Proxies, and how long ago each was heard of. retired_at: somebody said that it never returns.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_node AS
SELECT name, booted_at, heartbeat_at, instance, place,
       TIMESTAMPDIFF(MICROSECOND, heartbeat_at, UTC_TIMESTAMP(6)) DIV 1000 AS silent_ms,
       retired_at, retired_by, retired_login, retired_reason
  FROM node
