-- The answer of the identify_* routines: the chain of p_account_id, a row a leg, the account itself first and then
-- each parent; none for NULL. One statement, so that all of it is of one moment. A chain longer than 8 ends at the
-- 8th, and open_call refuses it, because the last leg's parent_id is not NULL. The client sorts by leg: ORDER BY would
-- put texts into a temporary table on disk, for half as much time again in each call. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE caller_chain(
  IN p_account_id BIGINT UNSIGNED,
  IN p_user_id BIGINT UNSIGNED,
  IN p_ha1_md5 CHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_ha1_sha256 CHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_pin_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  WITH RECURSIVE chain AS (
    SELECT 0 AS leg, p_account_id AS account_id
    UNION ALL
    SELECT chain.leg + 1, account.parent_id
      FROM chain JOIN account ON account.id = chain.account_id
     WHERE account.parent_id IS NOT NULL AND chain.leg < 7
  )
  SELECT chain.leg, account.id AS account_id, account.name AS account_name, account.parent_id, account.kind,
         account.status, account.expires_at, account.currency, account.country_code, account.international_prefixes,
         account.national_prefix, account.max_calls, account.low_balance, account.low_balance_max_calls,
         account.max_calls_per_second, account.longest_call_s, account.daily_spend_limit, account.premium_allowed,
         account.prefix_rules, account.parent_hold_limit,
         IF(account.parent_hold_limit IS NULL, 0, COALESCE((
           SELECT SUM(above.hold)
             FROM live_leg AS below
             STRAIGHT_JOIN live_leg AS above ON above.call_key = below.call_key AND above.leg = below.leg + 1
            WHERE below.account_id = account.id), 0)) AS parent_held,
         account.tariff_id, tariff.version AS tariff_version, tariff.decimals, tariff.rounding, tariff.zone,
         purse.balance, purse.held, purse.credit_limit, purse.calls,
         IF(purse.spend_day = UTC_DATE(), purse.spent, 0) AS spent_today,
         user.id AS user_id, user.name AS user_name, user.status AS user_status, user.max_calls AS user_max_calls,
         user.longest_call_s AS user_longest_call_s, user.max_calls_per_second AS user_max_calls_per_second,
         user.prefix_rules AS user_prefix_rules,
         p_ha1_md5 AS ha1_md5, p_ha1_sha256 AS ha1_sha256, p_pin_hash AS pin_hash,
         credential_card.number AS card_number, UTC_TIMESTAMP(6) AS now,
         account.loss_allowed OR tariff.loss_allowed AS loss_allowed,
         COALESCE(account.carrier_order, tariff.carrier_order) AS carrier_order,
         IF(chain.leg = 0, CONCAT_WS(',', user.shown_numbers, account.shown_numbers), NULL) AS shown_numbers,
         account.has_bundles
    FROM chain
    STRAIGHT_JOIN account ON account.id = chain.account_id
    STRAIGHT_JOIN purse ON purse.account_id = account.id
    STRAIGHT_JOIN tariff ON tariff.id = account.tariff_id
    LEFT JOIN user ON user.id = p_user_id
    LEFT JOIN credential_card ON credential_card.account_id = p_account_id;
END
