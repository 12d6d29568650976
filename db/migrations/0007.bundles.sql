-- Minute bundles: so many seconds a period to given prefixes, used before money (docs/database.md). IF NOT EXISTS for
-- the same reason as in 0001. What a call writes (bundle_period, live_bundle, cdr_bundle) has no foreign keys.

CREATE TABLE IF NOT EXISTS bundle (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(64) NOT NULL,
  owner_account_id BIGINT UNSIGNED NULL COMMENT 'who sells it, to his own; NULL: the vendor himself',
  status ENUM('active', 'removed') CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'active',
  seconds INT UNSIGNED NOT NULL COMMENT 'a period',
  period ENUM('day', 'week', 'month', 'once') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  priority INT NOT NULL DEFAULT 0 COMMENT 'lower is used first',
  UNIQUE KEY bundle_name (name),
  CONSTRAINT bundle_owner FOREIGN KEY (owner_account_id) REFERENCES account (id),
  CONSTRAINT bundle_seconds CHECK (seconds >= 1)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS bundle_prefix (
  bundle_id BIGINT UNSIGNED NOT NULL,
  prefix VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  excluded BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'numbers of this prefix are not in the bundle',
  PRIMARY KEY (bundle_id, prefix),
  CONSTRAINT bundle_prefix_bundle FOREIGN KEY (bundle_id) REFERENCES bundle (id) ON DELETE CASCADE,
  CONSTRAINT bundle_prefix_digits CHECK (prefix <> '' AND prefix NOT REGEXP '[^0-9]')
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS account_bundle (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  account_id BIGINT UNSIGNED NOT NULL,
  bundle_id BIGINT UNSIGNED NOT NULL,
  starts_at DATETIME NOT NULL,
  ends_at DATETIME NOT NULL DEFAULT '9999-12-31 23:59:59' COMMENT 'calls from then on do not use it',
  assign_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  content_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  UNIQUE KEY account_bundle_key (assign_key),
  KEY account_bundle_account (account_id, ends_at),
  CONSTRAINT account_bundle_account FOREIGN KEY (account_id) REFERENCES account (id),
  CONSTRAINT account_bundle_bundle FOREIGN KEY (bundle_id) REFERENCES bundle (id),
  CONSTRAINT account_bundle_span CHECK (ends_at >= starts_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- The counter of one period of one account's bundle, made by its first call. Changed under the purse of its account
-- alone, together with the money. Two periods of one bundle never overlap.
CREATE TABLE IF NOT EXISTS bundle_period (
  account_bundle_id BIGINT UNSIGNED NOT NULL,
  starts_at DATETIME NOT NULL,
  ends_at DATETIME NOT NULL COMMENT 'excluded',
  granted_s INT UNSIGNED NOT NULL,
  used_s INT UNSIGNED NOT NULL DEFAULT 0,
  held_s INT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (account_bundle_id, starts_at),
  CONSTRAINT bundle_period_span CHECK (ends_at > starts_at),
  CONSTRAINT bundle_period_left CHECK (used_s + held_s <= granted_s)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- Read with every caller anyway: an account without bundles costs nothing.
ALTER TABLE account
  ADD COLUMN IF NOT EXISTS has_bundles BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'worth asking for its account_bundle';

ALTER TABLE live_leg
  ADD COLUMN IF NOT EXISTS covered_s INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'its first seconds, paid by bundles';

ALTER TABLE cdr_leg
  ADD COLUMN IF NOT EXISTS bundle_s INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'of its first seconds, paid by bundles';

-- Where 0008 came first its archive has not the column; where it did not, it makes it like cdr_leg.
ALTER TABLE IF EXISTS cdr_leg_archive
  ADD COLUMN IF NOT EXISTS bundle_s INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'of its first seconds, paid by bundles';

-- The bundles that a leg may use, and what it holds of each. None for a leg without, nor for one that holds money only.
CREATE TABLE IF NOT EXISTS live_bundle (
  call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  leg TINYINT UNSIGNED NOT NULL,
  place TINYINT UNSIGNED NOT NULL COMMENT 'in the order of their use, from 1',
  account_bundle_id BIGINT UNSIGNED NOT NULL,
  starts_at DATETIME NOT NULL COMMENT 'of the period',
  held_s INT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (call_key, leg, place)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS cdr_bundle (
  call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  leg TINYINT UNSIGNED NOT NULL,
  place TINYINT UNSIGNED NOT NULL,
  account_bundle_id BIGINT UNSIGNED NOT NULL,
  starts_at DATETIME NOT NULL COMMENT 'of the period',
  held_s INT UNSIGNED NOT NULL,
  used_s INT UNSIGNED NOT NULL,
  PRIMARY KEY (call_key, leg, place),
  KEY cdr_bundle_period (account_bundle_id, starts_at, used_s) COMMENT 'statements; covers the audit',
  CONSTRAINT cdr_bundle_used CHECK (used_s <= held_s)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
