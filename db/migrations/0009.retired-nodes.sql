-- Nodes that never return, and what was charged for their calls (docs/database.md). IF NOT EXISTS: see 0001.

ALTER TABLE node
  ADD COLUMN IF NOT EXISTS retired_at DATETIME(6) NULL COMMENT 'gone for good; NULL: expected',
  ADD COLUMN IF NOT EXISTS retired_by VARCHAR(64) NULL,
  ADD COLUMN IF NOT EXISTS retired_login VARCHAR(128) NULL,
  ADD COLUMN IF NOT EXISTS retired_reason VARCHAR(255) NULL;

-- Calls that the reaper charged provisionally, and whose charge somebody made final. A table of its own: the row stays
-- where it is when the CDR is archived, and what a node tells after all is kept here, for a person to judge.
CREATE TABLE IF NOT EXISTS accepted_call (
  call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  node VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  accepted_at DATETIME(6) NOT NULL,
  actor VARCHAR(64) NOT NULL,
  login VARCHAR(128) NOT NULL,
  reason VARCHAR(255) NOT NULL,
  told_at DATETIME(6) NULL COMMENT 'when its node came back with the truth; NULL: it has not',
  told_result VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  told_talked_ms BIGINT UNSIGNED NULL,
  told_billed_s INT UNSIGNED NULL,
  told_legs TEXT NULL COMMENT 'what it would have cost, JSON as in settle_call'
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
