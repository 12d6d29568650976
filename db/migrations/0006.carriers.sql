-- Carriers with tariffs, coverage and channels, what a call costs at them, whether they answer, and which numbers a
-- caller may show (docs/database.md). IF NOT EXISTS for the same reason as in 0001: what broke off is run again.

ALTER TABLE carrier
  ADD COLUMN IF NOT EXISTS channels INT UNSIGNED NULL COMMENT 'simultaneous calls; NULL: any number',
  ADD COLUMN IF NOT EXISTS trusts_identity BOOLEAN NOT NULL DEFAULT FALSE
    COMMENT 'is told the number of a caller who hides it, and keeps it to himself',
  ADD COLUMN IF NOT EXISTS probed BOOLEAN NOT NULL DEFAULT TRUE COMMENT 'is asked with OPTIONS whether it is there';

-- What a carrier takes; without a row: all that its tariff has a rate for, or everything.
CREATE TABLE IF NOT EXISTS carrier_prefix (
  carrier_id BIGINT UNSIGNED NOT NULL,
  prefix VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (carrier_id, prefix),
  CONSTRAINT carrier_prefix_carrier FOREIGN KEY (carrier_id) REFERENCES carrier (id) ON DELETE CASCADE,
  CONSTRAINT carrier_prefix_digits CHECK (prefix <> '' AND prefix NOT REGEXP '[^0-9]')
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- Whether a carrier answers, as each node sees it.
CREATE TABLE IF NOT EXISTS carrier_state (
  node VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  carrier_id BIGINT UNSIGNED NOT NULL,
  state ENUM('up', 'down') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  since DATETIME(6) NOT NULL,
  PRIMARY KEY (node, carrier_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- How the calls of an account, or at a tariff, are routed. The vendor's own accounts count: the last leg of a chain.
ALTER TABLE account
  ADD COLUMN IF NOT EXISTS loss_allowed BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'a carrier may cost more than the call',
  ADD COLUMN IF NOT EXISTS carrier_order ENUM('cost', 'priority', 'weight') CHARACTER SET ascii COLLATE ascii_bin NULL;
ALTER TABLE tariff
  ADD COLUMN IF NOT EXISTS loss_allowed BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'a carrier may cost more than the call',
  ADD COLUMN IF NOT EXISTS carrier_order ENUM('cost', 'priority', 'weight') CHARACTER SET ascii COLLATE ascii_bin NULL;

-- Numbers that a caller may show. No foreign key to `user`: 0 stands for all of them.
CREATE TABLE IF NOT EXISTS shown_number (
  account_id BIGINT UNSIGNED NOT NULL,
  user_id BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT '0: every user of the account, and the card itself',
  number VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'ends with *: all that begin so',
  is_default BOOLEAN NOT NULL DEFAULT FALSE,
  PRIMARY KEY (account_id, user_id, number),
  CONSTRAINT shown_number_account FOREIGN KEY (account_id) REFERENCES account (id),
  CONSTRAINT shown_number_digits CHECK (number REGEXP '^[1-9][0-9]{1,14}[*]?$'),
  CONSTRAINT shown_number_default CHECK (NOT is_default OR number NOT LIKE '%*')
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- The same once more where a call meets it: gathered by put_shown_number and remove_shown_number, the default first.
ALTER TABLE account
  ADD COLUMN IF NOT EXISTS shown_numbers VARCHAR(2000) CHARACTER SET ascii COLLATE ascii_bin NULL;
ALTER TABLE user
  ADD COLUMN IF NOT EXISTS shown_numbers VARCHAR(2000) CHARACTER SET ascii COLLATE ascii_bin NULL;

-- routes: {"3": {"tariff": 5, "rate_id": 7, "currency": "EUR", "rate": "{..}"}, ..}, what each carrier that a call may
-- take asked for it when it was opened. NULL: none of them has a tariff. In the call's own row, so that a call without
-- pays for no further statement.
ALTER TABLE live_call
  ADD COLUMN IF NOT EXISTS shown VARCHAR(64) NOT NULL DEFAULT '' COMMENT 'the number that carriers are shown',
  ADD COLUMN IF NOT EXISTS routes LONGTEXT NULL COMMENT 'rates of the carriers that it may take, JSON by carrier';
ALTER TABLE cdr
  ADD COLUMN IF NOT EXISTS shown VARCHAR(64) NOT NULL DEFAULT '' COMMENT 'the number that carriers were shown',
  ADD COLUMN IF NOT EXISTS carrier_tariff_id BIGINT UNSIGNED NULL,
  ADD COLUMN IF NOT EXISTS carrier_currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN IF NOT EXISTS carrier_rate TEXT NULL COMMENT 'as it was when the call opened, JSON',
  ADD COLUMN IF NOT EXISTS carrier_cost DECIMAL(18,6) NULL COMMENT 'what the carrier charges for talked_ms',
  ADD COLUMN IF NOT EXISTS routes LONGTEXT NULL COMMENT 'as in live_call, while the CDR is provisional';
