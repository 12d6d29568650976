-- Resellers and their customers, users and trunks; allowed, barred and premium prefixes; live calls that are to end
-- (docs/database.md). IF NOT EXISTS for the same reason as in 0001: a migration that broke off is run again.

-- prefix_rules repeats account_prefix in one text (billing/barring.py reads it), so that it comes with the caller and a
-- call without rules costs nothing. Written by db/routines/write_prefix_rule.sql alone.
ALTER TABLE account
  ADD COLUMN IF NOT EXISTS parent_hold_limit DECIMAL(18,6) NULL COMMENT 'of its parent''s money, held by its live calls',
  ADD COLUMN IF NOT EXISTS premium_allowed BOOLEAN NOT NULL DEFAULT FALSE,
  ADD COLUMN IF NOT EXISTS prefix_rules TEXT CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD CONSTRAINT IF NOT EXISTS account_parent_hold_limit CHECK (parent_hold_limit >= 0);

-- A user who is removed stays, so that CDRs keep his name; current_name lets another have it.
ALTER TABLE user
  ADD COLUMN IF NOT EXISTS longest_call_s INT UNSIGNED NULL,
  ADD COLUMN IF NOT EXISTS max_calls_per_second INT UNSIGNED NULL,
  ADD COLUMN IF NOT EXISTS prefix_rules TEXT CHARACTER SET ascii COLLATE ascii_bin NULL,
  MODIFY COLUMN status ENUM('active', 'suspended', 'removed')
    CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'active';

ALTER TABLE user
  ADD COLUMN IF NOT EXISTS current_name VARCHAR(64) AS (IF(status = 'removed', NULL, name)) STORED;

ALTER TABLE user
  ADD KEY IF NOT EXISTS user_account (account_id),
  ADD UNIQUE KEY IF NOT EXISTS user_current_name (account_id, current_name),
  DROP KEY IF EXISTS user_name;

ALTER TABLE trunk
  ADD COLUMN IF NOT EXISTS owner_account_id BIGINT UNSIGNED NULL COMMENT 'whose callers it may name; NULL: anybody''s',
  ADD CONSTRAINT trunk_owner FOREIGN KEY IF NOT EXISTS (owner_account_id) REFERENCES account (id);

CREATE TABLE IF NOT EXISTS account_prefix (
  account_id BIGINT UNSIGNED NOT NULL,
  prefix VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'empty: every number',
  allowed BOOLEAN NOT NULL,
  PRIMARY KEY (account_id, prefix),
  CONSTRAINT account_prefix_account FOREIGN KEY (account_id) REFERENCES account (id),
  CONSTRAINT account_prefix_digits CHECK (prefix NOT REGEXP '[^0-9]')
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS user_prefix (
  user_id BIGINT UNSIGNED NOT NULL,
  prefix VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'empty: every number',
  allowed BOOLEAN NOT NULL,
  PRIMARY KEY (user_id, prefix),
  CONSTRAINT user_prefix_user FOREIGN KEY (user_id) REFERENCES user (id),
  CONSTRAINT user_prefix_digits CHECK (prefix NOT REGEXP '[^0-9]')
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- The vendor's, for all accounts without premium_allowed. The nodes know them from directory.json.
CREATE TABLE IF NOT EXISTS premium_prefix (
  prefix VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  name VARCHAR(64) NOT NULL,
  source VARCHAR(128) NOT NULL,
  CONSTRAINT premium_prefix_digits CHECK (prefix <> '' AND prefix NOT REGEXP '[^0-9]')
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

INSERT IGNORE INTO premium_prefix (prefix, name, source) VALUES
  ('979', 'International premium rate', 'ITU-T E.164 country codes; E.169.2'),
  ('1900', 'North America 900', 'NANPA, area code 900'),
  ('3290', 'Belgium 090', 'BIPT numbering plan'),
  ('31900', 'Netherlands 0900', 'ACM numbering plan'),
  ('31906', 'Netherlands 0906', 'ACM numbering plan'),
  ('31909', 'Netherlands 0909', 'ACM numbering plan'),
  ('3389', 'France 089', 'ARCEP numbering plan'),
  ('34803', 'Spain 803', 'CNMC numbering plan'),
  ('34806', 'Spain 806', 'CNMC numbering plan'),
  ('34807', 'Spain 807', 'CNMC numbering plan'),
  ('41900', 'Switzerland 0900', 'BAKOM numbering plan E.164/2002'),
  ('41901', 'Switzerland 0901', 'BAKOM numbering plan E.164/2002'),
  ('41906', 'Switzerland 0906', 'BAKOM numbering plan E.164/2002'),
  ('43900', 'Austria 0900', 'RTR, KEM-V'),
  ('43901', 'Austria 0901', 'RTR, KEM-V'),
  ('43930', 'Austria 0930', 'RTR, KEM-V'),
  ('43931', 'Austria 0931', 'RTR, KEM-V'),
  ('449', 'United Kingdom 09', 'Ofcom, National Telephone Numbering Plan'),
  ('46900', 'Sweden 0900', 'PTS numbering plan'),
  ('46939', 'Sweden 0939', 'PTS numbering plan'),
  ('46944', 'Sweden 0944', 'PTS numbering plan'),
  ('49137', 'Germany 0137', 'BNetzA, mass calling'),
  ('49900', 'Germany 0900', 'BNetzA, premium services'),
  ('61190', 'Australia 190', 'ACMA Numbering Plan 2015');

-- A live call that an administrator wants to end: its node's keeper looks here every second (kemi/ender.py). The row
-- goes some time after its call.
CREATE TABLE IF NOT EXISTS end_mark (
  call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  node VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reason VARCHAR(200) NOT NULL,
  login VARCHAR(128) NOT NULL,
  marked_at DATETIME(6) NOT NULL,
  KEY end_mark_node (node)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
