-- Changes settings of an account, those that p_settings names: a JSON object like {"max_calls": 3, "low_balance":
-- "2.00", "expires_at": null}, where null is none. `tariff` is a name. Status, money and parent have routines of their
-- own.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE set_account(
  IN p_account VARCHAR(64),
  IN p_settings LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_what VARCHAR(128) DEFAULT CONCAT('account ', COALESCE(p_account, 'NULL'));
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_parent BIGINT UNSIGNED;
  DECLARE v_currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_name VARCHAR(64);
  DECLARE v_tariff VARCHAR(64);
  DECLARE v_now LONGTEXT;

  CALL refuse_in_transaction('set_account');
  CALL check_settings(v_what, p_settings, CONCAT(
    'name,tariff,country_code,international_prefixes,national_prefix,max_calls,',
    'low_balance,low_balance_max_calls,max_calls_per_second,longest_call_s,',
    'daily_spend_limit,max_calls_per_hour,max_calls_per_hour_per_destination,',
    'parent_hold_limit,premium_allowed,expires_at'));
  CALL check_setting_amount(v_what, p_settings, 'low_balance');
  CALL check_setting_amount(v_what, p_settings, 'daily_spend_limit');
  CALL check_setting_amount(v_what, p_settings, 'parent_hold_limit');
  CALL check_dial_plan(v_what, JSON_VALUE(p_settings, '$.country_code'),
                       JSON_VALUE(p_settings, '$.international_prefixes'), JSON_VALUE(p_settings, '$.national_prefix'));
  SET v_name = JSON_VALUE(p_settings, '$.name'), v_tariff = JSON_VALUE(p_settings, '$.tariff');

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_account(p_account, v_id);
    CALL lock_purses(JSON_ARRAY(v_id));
    SELECT parent_id, currency, JSON_MERGE_PATCH(JSON_OBJECT(
             'name', name, 'country_code', country_code, 'international_prefixes', international_prefixes,
             'national_prefix', national_prefix, 'max_calls', max_calls, 'low_balance', low_balance,
             'low_balance_max_calls', low_balance_max_calls, 'max_calls_per_second', max_calls_per_second,
             'longest_call_s', longest_call_s, 'daily_spend_limit', daily_spend_limit,
             'max_calls_per_hour', max_calls_per_hour,
             'max_calls_per_hour_per_destination', max_calls_per_hour_per_destination,
             'parent_hold_limit', parent_hold_limit, 'premium_allowed', premium_allowed,
             'expires_at', expires_at), p_settings)
      INTO v_parent, v_currency, v_now
      FROM account
     WHERE id = v_id
       FOR UPDATE;

    IF JSON_EXISTS(p_settings, '$.tariff') THEN
      CALL check_account_tariff(p_account, v_parent, v_currency, v_tariff);
    END IF;
    IF v_parent IS NULL AND JSON_VALUE(p_settings, '$.parent_hold_limit') IS NOT NULL THEN
      CALL refuse(CONCAT('invalid_parent: account ', p_account, ' has no parent whose money it could hold'));
    END IF;
    IF EXISTS (SELECT 1 FROM account WHERE name = v_name AND id <> v_id) THEN
      CALL refuse(CONCAT('name_taken: there is another account named ', v_name));
    END IF;

    UPDATE account
       SET tariff_id = IF(v_tariff IS NULL, tariff_id, (SELECT tariff.id FROM tariff WHERE tariff.name = v_tariff)),
           name = JSON_VALUE(v_now, '$.name'),
           country_code = JSON_VALUE(v_now, '$.country_code'),
           international_prefixes = JSON_VALUE(v_now, '$.international_prefixes'),
           national_prefix = JSON_VALUE(v_now, '$.national_prefix'),
           max_calls = JSON_VALUE(v_now, '$.max_calls'),
           low_balance = JSON_VALUE(v_now, '$.low_balance'),
           low_balance_max_calls = JSON_VALUE(v_now, '$.low_balance_max_calls'),
           max_calls_per_second = JSON_VALUE(v_now, '$.max_calls_per_second'),
           longest_call_s = JSON_VALUE(v_now, '$.longest_call_s'),
           daily_spend_limit = JSON_VALUE(v_now, '$.daily_spend_limit'),
           max_calls_per_hour = JSON_VALUE(v_now, '$.max_calls_per_hour'),
           max_calls_per_hour_per_destination = JSON_VALUE(v_now, '$.max_calls_per_hour_per_destination'),
           parent_hold_limit = JSON_VALUE(v_now, '$.parent_hold_limit'),
           premium_allowed = JSON_VALUE(v_now, '$.premium_allowed'),
           expires_at = JSON_VALUE(v_now, '$.expires_at')
     WHERE id = v_id;
    COMMIT;
  END;
END
