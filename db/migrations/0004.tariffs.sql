-- Rate decks on their way into a tariff, and corrections of what calls were charged (docs/database.md). IF NOT EXISTS
-- for the same reason as in 0001: a migration that broke off is run again.

-- An import. Its rates wait in deck_rate until they are applied; the row stays, as a record of who changed what.
CREATE TABLE IF NOT EXISTS deck (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  deck_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  tariff_id BIGINT UNSIGNED NOT NULL,
  state ENUM('open', 'compared', 'applied', 'discarded') CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'open',
  actor VARCHAR(64) NOT NULL,
  login VARCHAR(128) NOT NULL,
  opened_at DATETIME(6) NOT NULL,
  replaces BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'what is not in the deck ends at effective_from',
  effective_from DATETIME(6) NULL,
  rates INT UNSIGNED NOT NULL DEFAULT 0,
  added INT UNSIGNED NOT NULL DEFAULT 0,
  dearer INT UNSIGNED NOT NULL DEFAULT 0,
  cheaper INT UNSIGNED NOT NULL DEFAULT 0,
  changed INT UNSIGNED NOT NULL DEFAULT 0,
  unchanged INT UNSIGNED NOT NULL DEFAULT 0,
  gone INT UNSIGNED NOT NULL DEFAULT 0,
  tariff_version BIGINT UNSIGNED NULL COMMENT 'compared with this one; once applied: the one that it made',
  applied_at DATETIME(6) NULL,
  UNIQUE KEY deck_key (deck_key),
  CONSTRAINT deck_applied CHECK ((state = 'applied') = (applied_at IS NOT NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- The rates of decks that are not applied yet. Clustered by prefix, because all questions about a million of them go
-- through them in that order; no second index, which would cost as much as the rows.
CREATE TABLE IF NOT EXISTS deck_rate (
  deck_id BIGINT UNSIGNED NOT NULL,
  prefix VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  effective_from DATETIME(6) NOT NULL,
  number INT UNSIGNED NOT NULL COMMENT 'counts the rates of a deck; 0: a rate that would be gone',
  line INT UNSIGNED NOT NULL COMMENT 'of the file',
  destination VARCHAR(64) NOT NULL,
  connect_fee DECIMAL(18,6) NOT NULL,
  price DECIMAL(18,6) NOT NULL,
  per_s INT UNSIGNED NOT NULL,
  initial_s INT UNSIGNED NULL,
  increment_s INT UNSIGNED NOT NULL,
  free_seconds INT UNSIGNED NOT NULL,
  max_cost DECIMAL(18,6) NULL,
  max_cost_rule ENUM('disconnect', 'free') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  schedule JSON NULL,
  effective_to DATETIME(6) NULL,
  blocked BOOLEAN NOT NULL,
  open_ended BOOLEAN NOT NULL COMMENT 'the deck gives it no end',
  alone BOOLEAN NOT NULL DEFAULT TRUE COMMENT 'the only one of its prefix in the deck',
  kind ENUM('new', 'dearer', 'cheaper', 'changed', 'unchanged', 'gone') CHARACTER SET ascii COLLATE ascii_bin
    NOT NULL DEFAULT 'new',
  old_rate_id BIGINT UNSIGNED NULL COMMENT 'the rate that it is compared with',
  PRIMARY KEY (deck_id, prefix, effective_from, number),
  CONSTRAINT deck_rate_effective CHECK (effective_to IS NULL OR effective_to > effective_from)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- Every kind of entry that there is; a later migration that adds one lists them all.
ALTER TABLE entry
  MODIFY COLUMN kind ENUM('top_up', 'adjustment', 'refund', 'transfer', 'call', 'call_refund', 'correction')
    CHARACTER SET ascii COLLATE ascii_bin NOT NULL;

ALTER TABLE cdr_leg
  ADD COLUMN IF NOT EXISTS corrected_charge DECIMAL(18,6) NULL COMMENT 'NULL: charge is right';

-- Where 0008 came first its archive has not the column; where it did not, it makes it like cdr_leg.
ALTER TABLE IF EXISTS cdr_leg_archive
  ADD COLUMN IF NOT EXISTS corrected_charge DECIMAL(18,6) NULL COMMENT 'NULL: charge is right';

ALTER TABLE cdr_leg DROP INDEX IF EXISTS cdr_leg_account,
  ADD INDEX cdr_leg_account (account_id, call_key, charge, corrected_charge) COMMENT 'statements; covers the audit';

-- What a re-rating changed about a call, and the rate that it found: a row for each leg and run, never changed.
CREATE TABLE IF NOT EXISTS correction (
  call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  leg TINYINT UNSIGNED NOT NULL,
  run_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'of the re-rating',
  account_id BIGINT UNSIGNED NOT NULL,
  entry_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  old_charge DECIMAL(18,6) NOT NULL,
  new_charge DECIMAL(18,6) NOT NULL,
  rate_id BIGINT UNSIGNED NULL,
  rate TEXT NOT NULL COMMENT 'the rate of the new charge, JSON',
  created_at DATETIME(6) NOT NULL,
  PRIMARY KEY (call_key, leg, run_key),
  CONSTRAINT correction_charges CHECK (new_charge >= 0 AND old_charge >= 0 AND new_charge <> old_charge)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE IF NOT EXISTS correction_archive LIKE correction;
