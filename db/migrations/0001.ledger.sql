-- The ledger's tables (docs/database.md). Money is DECIMAL(18,6); times are UTC; keys and tokens are ascii.
--
-- IF NOT EXISTS: MariaDB cannot roll back DDL, so a migration that broke off is run again and finishes.
-- No foreign key points at `purse`, nor leaves the tables that a call writes (live_*, cdr*, entry): a key check takes
-- its lock before the routine takes its own, which deadlocks, and partitioned tables refuse foreign keys.
-- No triggers and no functions: they need SUPER under the binary log. All writing is in db/routines.

CREATE TABLE IF NOT EXISTS tariff (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  owner_account_id BIGINT UNSIGNED NULL COMMENT 'NULL: the vendor himself',
  name VARCHAR(64) NOT NULL,
  currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  decimals TINYINT UNSIGNED NOT NULL DEFAULT 4,
  rounding ENUM('up', 'half_up', 'down') CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'half_up',
  zone VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'UTC',
  version BIGINT UNSIGNED NOT NULL DEFAULT 1 COMMENT 'rises with every change; caches of rates are keyed by it',
  UNIQUE KEY tariff_name (name),
  UNIQUE KEY tariff_currency (id, currency) COMMENT 'lets account demand a tariff in its own currency',
  CONSTRAINT tariff_decimals CHECK (decimals <= 6),
  CONSTRAINT tariff_currency_code CHECK (CHAR_LENGTH(currency) = 3 AND currency NOT REGEXP '[^A-Z]')
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS rate (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  tariff_id BIGINT UNSIGNED NOT NULL,
  prefix VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  destination VARCHAR(64) NOT NULL,
  connect_fee DECIMAL(18,6) NOT NULL DEFAULT 0,
  price DECIMAL(18,6) NOT NULL DEFAULT 0 COMMENT 'per per_s seconds',
  per_s INT UNSIGNED NOT NULL DEFAULT 60,
  initial_s INT UNSIGNED NULL COMMENT 'a first slot of one increment this long',
  increment_s INT UNSIGNED NOT NULL DEFAULT 1,
  free_seconds INT UNSIGNED NOT NULL DEFAULT 0,
  max_cost DECIMAL(18,6) NULL,
  max_cost_rule ENUM('disconnect', 'free') CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'disconnect',
  schedule JSON NULL COMMENT 'slots or weekly windows; replaces the price columns (billing/pricelist.py)',
  effective_from DATETIME(6) NOT NULL,
  effective_to DATETIME(6) NULL,
  blocked BOOLEAN NOT NULL DEFAULT FALSE,
  UNIQUE KEY rate_prefix (tariff_id, prefix, effective_from),
  CONSTRAINT rate_tariff FOREIGN KEY (tariff_id) REFERENCES tariff (id),
  CONSTRAINT rate_amounts CHECK (connect_fee >= 0 AND price >= 0 AND (max_cost IS NULL OR max_cost >= 0)),
  CONSTRAINT rate_seconds CHECK (per_s >= 1 AND increment_s >= 1 AND (initial_s IS NULL OR initial_s >= 1)),
  CONSTRAINT rate_schedule CHECK (schedule IS NULL OR JSON_VALID(schedule)),
  CONSTRAINT rate_effective CHECK (effective_to IS NULL OR effective_to > effective_from)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS account (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  parent_id BIGINT UNSIGNED NULL COMMENT 'NULL: the vendor has the account himself',
  kind ENUM('reseller', 'customer', 'card') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(64) NOT NULL,
  status ENUM('active', 'suspended', 'closed') CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'active',
  currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  tariff_id BIGINT UNSIGNED NOT NULL COMMENT 'what the account is charged at',
  country_code VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  international_prefixes VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '00,011',
  national_prefix VARCHAR(4) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '0',
  max_calls INT UNSIGNED NULL COMMENT 'simultaneous calls, all users together',
  low_balance DECIMAL(18,6) NULL COMMENT 'with less available than this ..',
  low_balance_max_calls INT UNSIGNED NULL COMMENT '.. only so many calls at once',
  max_calls_per_second INT UNSIGNED NULL,
  longest_call_s INT UNSIGNED NULL,
  expires_at DATETIME(6) NULL,
  created_at DATETIME(6) NOT NULL,
  UNIQUE KEY account_name (name),
  CONSTRAINT account_parent FOREIGN KEY (parent_id) REFERENCES account (id),
  CONSTRAINT account_tariff FOREIGN KEY (tariff_id, currency) REFERENCES tariff (id, currency)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- available = balance + credit_limit - held, and it is never below `forced_floor`. The floor is 0; only an
-- administrator's forced debit lowers it, to where that debit left the account, and the next entry lifts it again.
CREATE TABLE IF NOT EXISTS purse (
  account_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  balance DECIMAL(18,6) NOT NULL DEFAULT 0,
  held DECIMAL(18,6) NOT NULL DEFAULT 0,
  credit_limit DECIMAL(18,6) NOT NULL DEFAULT 0,
  forced_floor DECIMAL(18,6) NOT NULL DEFAULT 0,
  calls INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'calls in progress',
  CONSTRAINT purse_held CHECK (held >= 0),
  CONSTRAINT purse_credit_limit CHECK (credit_limit >= 0),
  CONSTRAINT purse_forced_floor CHECK (forced_floor <= 0),
  CONSTRAINT purse_available CHECK (balance + credit_limit - held >= forced_floor)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS user (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  account_id BIGINT UNSIGNED NOT NULL,
  name VARCHAR(64) NOT NULL,
  status ENUM('active', 'suspended') CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'active',
  max_calls INT UNSIGNED NULL,
  UNIQUE KEY user_name (account_id, name),
  CONSTRAINT user_account FOREIGN KEY (account_id) REFERENCES account (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- nopad_bin: RFC 3261 compares user names and realms exactly; with the usual collations 'bob ' equals 'BOB'.
CREATE TABLE IF NOT EXISTS credential_digest (
  user_id BIGINT UNSIGNED NOT NULL,
  username VARCHAR(64) COLLATE utf8mb4_nopad_bin NOT NULL,
  realm VARCHAR(128) COLLATE utf8mb4_nopad_bin NOT NULL,
  ha1_md5 CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  ha1_sha256 CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (username, realm),
  CONSTRAINT credential_digest_user FOREIGN KEY (user_id) REFERENCES user (id),
  CONSTRAINT credential_digest_md5 CHECK (CHAR_LENGTH(ha1_md5) = 32 AND ha1_md5 NOT REGEXP '[^0-9a-f]'),
  CONSTRAINT credential_digest_sha256 CHECK (CHAR_LENGTH(ha1_sha256) = 64 AND ha1_sha256 NOT REGEXP '[^0-9a-f]')
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS credential_card (
  account_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  number VARCHAR(20) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
  pin_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'HMAC-SHA256 of number:pin, hex',
  UNIQUE KEY credential_card_number (number),
  CONSTRAINT credential_card_account FOREIGN KEY (account_id) REFERENCES account (id),
  CONSTRAINT credential_card_digits CHECK (CHAR_LENGTH(number) >= 4 AND number NOT REGEXP '[^0-9]'),
  CONSTRAINT credential_card_pin_hash CHECK (CHAR_LENGTH(pin_hash) = 64 AND pin_hash NOT REGEXP '[^0-9a-f]')
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS trunk (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(64) NOT NULL,
  kind ENUM('customer', 'caller_number', 'ivr') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id BIGINT UNSIGNED NULL COMMENT 'kind customer: whose calls these are',
  status ENUM('active', 'suspended') CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'active',
  UNIQUE KEY trunk_name (name),
  CONSTRAINT trunk_user FOREIGN KEY (user_id) REFERENCES user (id),
  CONSTRAINT trunk_kind CHECK ((kind = 'customer') = (user_id IS NOT NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS trunk_address (
  trunk_id BIGINT UNSIGNED NOT NULL,
  network VARCHAR(43) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'CIDR, IPv4 or IPv6',
  PRIMARY KEY (trunk_id, network),
  CONSTRAINT trunk_address_trunk FOREIGN KEY (trunk_id) REFERENCES trunk (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS credential_caller_number (
  trunk_id BIGINT UNSIGNED NOT NULL,
  number VARCHAR(20) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
  user_id BIGINT UNSIGNED NULL,
  account_id BIGINT UNSIGNED NULL COMMENT 'a card',
  PRIMARY KEY (trunk_id, number),
  CONSTRAINT caller_number_trunk FOREIGN KEY (trunk_id) REFERENCES trunk (id),
  CONSTRAINT caller_number_user FOREIGN KEY (user_id) REFERENCES user (id),
  CONSTRAINT caller_number_account FOREIGN KEY (account_id) REFERENCES account (id),
  CONSTRAINT caller_number_digits CHECK (CHAR_LENGTH(number) >= 2 AND number NOT REGEXP '[^0-9]'),
  CONSTRAINT caller_number_owner CHECK ((user_id IS NULL) <> (account_id IS NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS carrier (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(64) NOT NULL,
  host VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  port SMALLINT UNSIGNED NOT NULL DEFAULT 5060,
  transport ENUM('udp', 'tcp', 'tls') CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'udp',
  priority INT NOT NULL DEFAULT 0 COMMENT 'lower is tried first',
  weight INT UNSIGNED NOT NULL DEFAULT 1,
  status ENUM('active', 'disabled') CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'active',
  tariff_id BIGINT UNSIGNED NULL COMMENT 'what the carrier charges us',
  dial_prefix VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  UNIQUE KEY carrier_name (name),
  CONSTRAINT carrier_tariff FOREIGN KEY (tariff_id) REFERENCES tariff (id),
  CONSTRAINT carrier_host CHECK (host <> '' AND host NOT REGEXP '[^0-9A-Za-z.:-]' AND port > 0),
  CONSTRAINT carrier_dial_prefix CHECK (dial_prefix NOT REGEXP '[^0-9+*#]')
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS live_call (
  call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  node VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  account_id BIGINT UNSIGNED NOT NULL COMMENT 'leg 0',
  user_id BIGINT UNSIGNED NULL,
  state ENUM('open', 'answered') CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'open',
  caller VARCHAR(64) NOT NULL,
  callee VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'the rated digits',
  dialled VARCHAR(64) NOT NULL,
  source VARCHAR(64) NOT NULL,
  sip_call_id VARCHAR(255) NOT NULL,
  sip_from_tag VARCHAR(128) NOT NULL,
  sip_to_tag VARCHAR(128) NULL,
  carrier_id BIGINT UNSIGNED NULL,
  grant_s INT UNSIGNED NOT NULL,
  limit_s INT UNSIGNED NOT NULL COMMENT 'no grant may be longer',
  ring_limit_s INT UNSIGNED NOT NULL,
  rated_at DATETIME NOT NULL COMMENT 'the instant whose rates and windows count',
  opened_at DATETIME(6) NOT NULL,
  answered_at DATETIME(6) NULL,
  hold_until DATETIME(6) NOT NULL COMMENT 'funded until then; the reaper comes 30 s later',
  content_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  KEY live_call_node (node, state, hold_until),
  KEY live_call_user (user_id),
  KEY live_call_hold_until (hold_until),
  CONSTRAINT live_call_grant CHECK (grant_s BETWEEN 1 AND limit_s),
  CONSTRAINT live_call_answered CHECK ((state = 'answered') = (answered_at IS NOT NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS live_leg (
  call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  leg TINYINT UNSIGNED NOT NULL,
  account_id BIGINT UNSIGNED NOT NULL,
  tariff_id BIGINT UNSIGNED NOT NULL,
  rate_id BIGINT UNSIGNED NULL,
  destination VARCHAR(64) NOT NULL,
  rate TEXT NOT NULL COMMENT 'the rate as it was when the call opened, JSON',
  hold DECIMAL(18,6) NOT NULL,
  available_before DECIMAL(18,6) NOT NULL COMMENT 'before the first hold: part of the stored answer',
  PRIMARY KEY (call_key, leg),
  KEY live_leg_account (account_id, hold),
  CONSTRAINT live_leg_hold CHECK (hold >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS cdr (
  call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  node VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  account_id BIGINT UNSIGNED NULL COMMENT 'NULL: an emergency call',
  user_id BIGINT UNSIGNED NULL,
  caller VARCHAR(64) NOT NULL,
  callee VARCHAR(32) NOT NULL,
  dialled VARCHAR(64) NOT NULL,
  source VARCHAR(64) NOT NULL,
  sip_call_id VARCHAR(255) NOT NULL,
  carrier_id BIGINT UNSIGNED NULL,
  rated_at DATETIME NULL COMMENT 'with the legs'' rates and billed_s: the whole arithmetic',
  opened_at DATETIME(6) NOT NULL,
  answered_at DATETIME(6) NULL,
  ended_at DATETIME(6) NOT NULL,
  grant_s INT UNSIGNED NOT NULL DEFAULT 0,
  talked_ms BIGINT UNSIGNED NOT NULL DEFAULT 0,
  billed_s INT UNSIGNED NOT NULL DEFAULT 0,
  result VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  detail VARCHAR(255) NOT NULL DEFAULT '',
  end_reason VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  sip_code SMALLINT UNSIGNED NULL,
  provisional BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'charged at the whole grant; the truth is not known yet',
  settled_at DATETIME(6) NOT NULL,
  KEY cdr_account (account_id, call_key),
  KEY cdr_provisional (provisional),
  CONSTRAINT cdr_billed CHECK (billed_s <= grant_s)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS cdr_leg (
  call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  leg TINYINT UNSIGNED NOT NULL,
  account_id BIGINT UNSIGNED NOT NULL,
  tariff_id BIGINT UNSIGNED NOT NULL,
  rate_id BIGINT UNSIGNED NULL,
  destination VARCHAR(64) NOT NULL,
  rate TEXT NOT NULL,
  hold DECIMAL(18,6) NOT NULL,
  charge DECIMAL(18,6) NOT NULL,
  balance_after DECIMAL(18,6) NOT NULL COMMENT 'a repeated settlement answers with it',
  PRIMARY KEY (call_key, leg),
  KEY cdr_leg_account (account_id, call_key, charge) COMMENT 'statements; covers the audit',
  CONSTRAINT cdr_leg_charge CHECK (charge BETWEEN 0 AND hold)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- Append-only: not even the routines' owner may update or delete here. A call's entries have the call key.
CREATE TABLE IF NOT EXISTS entry (
  entry_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  account_id BIGINT UNSIGNED NOT NULL,
  kind ENUM('top_up', 'adjustment', 'refund', 'transfer', 'call', 'call_refund')
    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  amount DECIMAL(18,6) NOT NULL,
  balance_after DECIMAL(18,6) NOT NULL,
  available_after DECIMAL(18,6) NOT NULL,
  forced BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'a debit that was allowed to pass zero',
  actor VARCHAR(64) NOT NULL,
  login VARCHAR(128) NOT NULL,
  reason VARCHAR(255) NOT NULL DEFAULT '',
  reference VARCHAR(128) NOT NULL DEFAULT '',
  created_at DATETIME(6) NOT NULL,
  PRIMARY KEY (entry_key, account_id, kind),
  KEY entry_account (account_id, created_at, amount) COMMENT 'statements; covers the audit, with the primary key',
  CONSTRAINT entry_amount CHECK (amount <> 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- The keys of top-ups, adjustments, refunds and transfers. The primary key of `entry` alone would let one key move
-- money on two accounts. A table of its own, so that a cashier's key never stands in the way of a call's.
CREATE TABLE IF NOT EXISTS money_key (
  entry_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  content_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at DATETIME(6) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS node (
  name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  booted_at DATETIME(6) NOT NULL,
  heartbeat_at DATETIME(6) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- What db/migrate.py loaded last, so that it loads what changed and nothing else.
CREATE TABLE IF NOT EXISTS loaded_object (
  kind ENUM('PROCEDURE', 'VIEW') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  content_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  loaded_at DATETIME(6) NOT NULL,
  PRIMARY KEY (kind, name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
