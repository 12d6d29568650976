-- Accounts with their money. For people and reports; calls are identified by routine.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_account AS
SELECT account.id AS account_id, account.parent_id, parent.name AS parent_name, account.kind, account.name,
       account.status, account.currency, account.tariff_id, tariff.name AS tariff_name, account.country_code,
       account.international_prefixes, account.national_prefix, account.max_calls, account.low_balance,
       account.low_balance_max_calls, account.max_calls_per_second, account.longest_call_s,
       account.daily_spend_limit, account.max_calls_per_hour, account.max_calls_per_hour_per_destination,
       account.parent_hold_limit, account.premium_allowed, account.prefix_rules, account.loss_allowed,
       account.carrier_order,
       account.expires_at, account.created_at, purse.balance, purse.held, purse.credit_limit, purse.calls,
       IF(purse.spend_day = UTC_DATE(), purse.spent, 0) AS spent_today,
       purse.balance + purse.credit_limit - purse.held AS available, card.number AS card_number
  FROM account
  JOIN purse ON purse.account_id = account.id
  JOIN tariff ON tariff.id = account.tariff_id
  LEFT JOIN account AS parent ON parent.id = account.parent_id
  LEFT JOIN credential_card AS card ON card.account_id = account.id
