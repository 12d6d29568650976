-- Attempts at carriers that failed before a call went on to the next one. IF NOT EXISTS: see 0001.

-- The last attempt of a call is not among them: its carrier and its code are the CDR's own. So a call's attempts are
-- these and, if its CDR names a carrier, one more. No money, therefore no entry and no audit. Written while the call is
-- live, or late, when it has its CDR.
CREATE TABLE IF NOT EXISTS attempt (
  call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  ordinal SMALLINT UNSIGNED NOT NULL COMMENT '1: the first carrier that was tried',
  carrier_id BIGINT UNSIGNED NOT NULL,
  sip_code SMALLINT UNSIGNED NOT NULL COMMENT '408: silence; 0: it could not be sent to',
  failed_at DATETIME(6) NOT NULL,
  PRIMARY KEY (call_key, ordinal)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- Moved with their CDRs, as they were.
CREATE TABLE IF NOT EXISTS attempt_archive LIKE attempt;
