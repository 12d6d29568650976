-- Limits against traffic pumping, the alarms that they raise, and which instance a node's name belongs to
-- (docs/database.md). IF NOT EXISTS for the same reason as in 0001: a migration that broke off is run again.

ALTER TABLE account
  ADD COLUMN IF NOT EXISTS daily_spend_limit DECIMAL(18,6) NULL COMMENT 'charged today (UTC) plus held; NULL: none',
  ADD COLUMN IF NOT EXISTS max_calls_per_hour INT UNSIGNED NULL COMMENT 'opened in an hour of the clock (UTC)',
  ADD COLUMN IF NOT EXISTS max_calls_per_hour_per_destination INT UNSIGNED NULL COMMENT 'to one rate.destination',
  ADD CONSTRAINT IF NOT EXISTS account_daily_spend_limit CHECK (daily_spend_limit >= 0);

-- What the calls charged on one day: a sum of entries, kept beside the balance so that nobody has to add them up.
ALTER TABLE purse
  ADD COLUMN IF NOT EXISTS spend_day DATE NOT NULL DEFAULT '1970-01-01',
  ADD COLUMN IF NOT EXISTS spent DECIMAL(18,6) NOT NULL DEFAULT 0 COMMENT 'charged on spend_day',
  ADD CONSTRAINT IF NOT EXISTS purse_spent CHECK (spent >= 0);

ALTER TABLE node
  ADD COLUMN IF NOT EXISTS instance VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'whose name it is',
  ADD COLUMN IF NOT EXISTS place VARCHAR(255) NOT NULL DEFAULT '' COMMENT 'its machine and state folder';

-- Calls opened in an hour. Only for accounts with a limit; each row is written under its account's purse. The primary
-- key is the only key that a call's INSERT meets: a second unique one would take gap locks.
CREATE TABLE IF NOT EXISTS call_count (
  account_id BIGINT UNSIGNED NOT NULL,
  destination VARCHAR(64) NOT NULL COMMENT 'empty: to all',
  hour DATETIME NOT NULL,
  calls INT UNSIGNED NOT NULL,
  PRIMARY KEY (account_id, destination, hour),
  KEY call_count_hour (hour)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- A row for each limit of an account and each day or hour in which it was nearly reached.
CREATE TABLE IF NOT EXISTS alarm (
  account_id BIGINT UNSIGNED NOT NULL,
  kind ENUM('spending_limit', 'hourly_limit', 'hourly_destination_limit')
    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  destination VARCHAR(64) NOT NULL DEFAULT '' COMMENT 'of hourly_destination_limit',
  since DATETIME NOT NULL COMMENT 'the day or hour that counts',
  limit_value DECIMAL(18,6) NOT NULL,
  reached DECIMAL(18,6) NOT NULL COMMENT 'the most so far',
  first_at DATETIME(6) NOT NULL,
  last_at DATETIME(6) NOT NULL,
  times INT UNSIGNED NOT NULL COMMENT 'opened, renewed or refused past the threshold',
  refused INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'calls that were refused',
  stopped_at DATETIME(6) NULL COMMENT 'when the limit refused something first',
  acknowledged_at DATETIME(6) NULL,
  acknowledged_by VARCHAR(64) NOT NULL DEFAULT '',
  PRIMARY KEY (account_id, kind, destination, since),
  KEY alarm_since (since)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
