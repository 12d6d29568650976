-- What reports, the export of CDRs and retention need (docs/database.md). IF NOT EXISTS: see 0001.

-- position: where the export stands with this CDR. 0: nobody has published it, as it is now. Positions are given out
-- by publish_keys alone, after the CDR was committed and one batch after the other: so none appears below one that a
-- reader has seen, which neither a key nor a time can promise.
ALTER TABLE cdr
  ADD COLUMN IF NOT EXISTS position BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT '0: not published yet, as it is now',
  ADD COLUMN IF NOT EXISTS version SMALLINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'how often it was published',
  ADD KEY IF NOT EXISTS cdr_position (position),
  ADD KEY IF NOT EXISTS cdr_ended (ended_at) COMMENT 'reports of a period; retention';

CREATE TABLE IF NOT EXISTS export_position (
  id TINYINT UNSIGNED NOT NULL PRIMARY KEY,
  position BIGINT UNSIGNED NOT NULL COMMENT 'the last that was given out',
  CONSTRAINT export_position_one CHECK (id = 1)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
INSERT IGNORE INTO export_position (id, position) VALUES (1, 0);

-- How far retention has come. account_id: entries of accounts up to it are through.
CREATE TABLE IF NOT EXISTS retention (
  id TINYINT UNSIGNED NOT NULL PRIMARY KEY,
  archived_before DATETIME(6) NOT NULL COMMENT 'what is older may be archived',
  account_id BIGINT UNSIGNED NOT NULL COMMENT 'entries of accounts up to this one are archived',
  CONSTRAINT retention_one CHECK (id = 1)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
INSERT IGNORE INTO retention (id, archived_before, account_id) VALUES (1, '1970-01-01', 0);

-- What the archived entries of an account come to: a balance is its checkpoint and the entries that are not archived.
CREATE TABLE IF NOT EXISTS balance_checkpoint (
  account_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  balance DECIMAL(18,6) NOT NULL,
  entries BIGINT UNSIGNED NOT NULL,
  forced BOOLEAN NOT NULL COMMENT 'a forced debit is among them',
  updated_at DATETIME(6) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- Rows that were moved, as they were: same columns, same order, same keys. Whoever adds a column to one of the three
-- adds it to its archive.
CREATE TABLE IF NOT EXISTS cdr_archive LIKE cdr;
CREATE TABLE IF NOT EXISTS cdr_leg_archive LIKE cdr_leg;
CREATE TABLE IF NOT EXISTS entry_archive LIKE entry;
