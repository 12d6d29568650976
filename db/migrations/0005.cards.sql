-- Cards and vouchers in batches, first use, and guesses of voucher codes (docs/database.md). IF NOT EXISTS for the same
-- reason as in 0001: a migration that broke off is run again.

-- Every migration that changes this list names the kinds of the earlier ones, too.
ALTER TABLE entry
  MODIFY COLUMN kind ENUM('top_up', 'adjustment', 'refund', 'transfer', 'call', 'call_refund', 'correction', 'card_value',
    'voucher')
    CHARACTER SET ascii COLLATE ascii_bin NOT NULL;

-- On the purse, because whoever settles a call has it in hand: a card's first use costs no other call a look-up.
ALTER TABLE purse
  ADD COLUMN IF NOT EXISTS unused BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'a card of a batch before its first answered call';

-- When the clocks of a zone are how far from UTC, for a card's last midnight: the server may have no zones of its own.
CREATE TABLE IF NOT EXISTS zone_offset (
  zone VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  since DATETIME NOT NULL,
  offset_s INT NOT NULL COMMENT 'local time less UTC',
  PRIMARY KEY (zone, since),
  CONSTRAINT zone_offset_day CHECK (offset_s BETWEEN -86400 AND 86400)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS card_batch (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(48) NOT NULL COMMENT 'with a serial number behind it the name of each card''s account',
  parent_id BIGINT UNSIGNED NULL COMMENT 'NULL: the vendor has the cards himself',
  tariff_id BIGINT UNSIGNED NOT NULL,
  currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  value DECIMAL(18,6) NOT NULL COMMENT 'of each card, booked when it is activated',
  cards INT UNSIGNED NOT NULL,
  expires_at DATETIME(6) NULL,
  expires_days INT UNSIGNED NULL COMMENT 'days after the day of first use; the earlier of the two counts',
  zone VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'the tariff''s when the batch was issued',
  distributor_account_id BIGINT UNSIGNED NULL,
  distributor VARCHAR(64) NOT NULL DEFAULT '',
  issue_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  content_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  issued_at DATETIME(6) NOT NULL,
  issued_by VARCHAR(64) NOT NULL,
  login VARCHAR(128) NOT NULL,
  UNIQUE KEY card_batch_name (name),
  UNIQUE KEY card_batch_key (issue_key),
  CONSTRAINT card_batch_parent FOREIGN KEY (parent_id) REFERENCES account (id),
  CONSTRAINT card_batch_distributor FOREIGN KEY (distributor_account_id) REFERENCES account (id),
  CONSTRAINT card_batch_tariff FOREIGN KEY (tariff_id, currency) REFERENCES tariff (id, currency),
  CONSTRAINT card_batch_value CHECK (value >= 0),
  CONSTRAINT card_batch_days CHECK (expires_days BETWEEN 1 AND 36500)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- No foreign key to the account: calls write here, under its purse.
CREATE TABLE IF NOT EXISTS card (
  account_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  batch_id BIGINT UNSIGNED NOT NULL,
  serial INT UNSIGNED NOT NULL COMMENT 'from 1 in each batch',
  activation_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'of the value''s entry; NULL: not sold yet',
  activated_at DATETIME(6) NULL,
  activated_by VARCHAR(64) NOT NULL DEFAULT '',
  blocked_at DATETIME(6) NULL,
  blocked_by VARCHAR(64) NOT NULL DEFAULT '',
  cancelled_at DATETIME(6) NULL,
  cancelled_by VARCHAR(64) NOT NULL DEFAULT '',
  first_used_at DATETIME(6) NULL COMMENT 'answer of the first call',
  suspended BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'by itself: neither a sale nor unblocking lets it call',
  UNIQUE KEY card_serial (batch_id, serial),
  KEY card_activation (activation_key),
  CONSTRAINT card_batch_of FOREIGN KEY (batch_id) REFERENCES card_batch (id),
  CONSTRAINT card_activated CHECK ((activated_at IS NULL) = (activation_key IS NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS voucher_batch (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(48) NOT NULL,
  owner_account_id BIGINT UNSIGNED NULL COMMENT 'whose cards and customers it is for; NULL: the vendor''s own',
  currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  value DECIMAL(18,6) NOT NULL,
  vouchers INT UNSIGNED NOT NULL,
  expires_at DATETIME(6) NULL,
  distributor VARCHAR(64) NOT NULL DEFAULT '',
  issue_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  content_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  issued_at DATETIME(6) NOT NULL,
  issued_by VARCHAR(64) NOT NULL,
  login VARCHAR(128) NOT NULL,
  UNIQUE KEY voucher_batch_name (name),
  UNIQUE KEY voucher_batch_key (issue_key),
  CONSTRAINT voucher_batch_owner FOREIGN KEY (owner_account_id) REFERENCES account (id),
  CONSTRAINT voucher_batch_currency CHECK (CHAR_LENGTH(currency) = 3 AND currency NOT REGEXP '[^A-Z]'),
  CONSTRAINT voucher_batch_value CHECK (value > 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS voucher (
  batch_id BIGINT UNSIGNED NOT NULL,
  serial INT UNSIGNED NOT NULL COMMENT 'from 1 in each batch',
  code_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'HMAC-SHA256 of voucher:code, hex',
  status ENUM('issued', 'active', 'blocked', 'redeemed', 'cancelled')
    CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'issued',
  changed_at DATETIME(6) NOT NULL,
  changed_by VARCHAR(64) NOT NULL,
  activated_at DATETIME(6) NULL,
  redeem_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'of the entry',
  account_id BIGINT UNSIGNED NULL COMMENT 'into which it was paid',
  redeemed_at DATETIME(6) NULL,
  PRIMARY KEY (batch_id, serial),
  UNIQUE KEY voucher_code (code_hash),
  UNIQUE KEY voucher_redeem_key (redeem_key),
  CONSTRAINT voucher_batch_of FOREIGN KEY (batch_id) REFERENCES voucher_batch (id),
  CONSTRAINT voucher_hash CHECK (CHAR_LENGTH(code_hash) = 64 AND code_hash NOT REGEXP '[^0-9a-f]'),
  CONSTRAINT voucher_redeemed CHECK ((status = 'redeemed') = (redeem_key IS NOT NULL)),
  CONSTRAINT voucher_paid CHECK ((redeem_key IS NULL) = (account_id IS NULL)
    AND (redeem_key IS NULL) = (redeemed_at IS NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- Wrong guesses in a row, of voucher codes and of PINs. A row is locked after the purse and before the voucher.
CREATE TABLE IF NOT EXISTS guess_count (
  kind ENUM('voucher_account', 'voucher_source', 'card_source', 'card')
    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  place CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'its hash: it may be any text',
  failures INT UNSIGNED NOT NULL,
  last_at DATETIME(6) NOT NULL,
  locked_until DATETIME(6) NULL,
  PRIMARY KEY (kind, place),
  KEY guess_count_last_at (last_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- The truth about refused codes: whoever tried hears the same each time.
CREATE TABLE IF NOT EXISTS voucher_refusal (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  account_id BIGINT UNSIGNED NOT NULL,
  source VARCHAR(64) NOT NULL,
  outcome VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  batch_id BIGINT UNSIGNED NULL,
  serial INT UNSIGNED NULL,
  actor VARCHAR(64) NOT NULL,
  login VARCHAR(128) NOT NULL,
  refused_at DATETIME(6) NOT NULL,
  KEY voucher_refusal_at (refused_at),
  KEY voucher_refusal_account (account_id, refused_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
