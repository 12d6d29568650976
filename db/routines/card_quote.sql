-- What an IVR announces before it dials, in one query: what a card has, and the seconds that it can talk to a number.
--
-- p_pin_hash: hex HMAC-SHA256 of number:pin. p_dialled as the caller keyed it in; NULL: the balance alone. p_source: his
-- own number; wrong PINs are counted for it and the card, and past some in a row both must wait. p_longest_s: the nodes'
-- calls.longest_call_s; NULL: a day. Reserves nothing.
--
-- Answers one row: outcome ('ok', or the token that the call would be refused with now), account, currency, balance,
-- available, expires_at, number (E.164 digits), destination, seconds. Without the right PIN all but the outcome is NULL.
-- seconds is NULL where a tariff of the chain sells by slots or windows, or an account has minute bundles: then ask a
-- node, with OPTIONS.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE card_quote(
  IN p_number TEXT,
  IN p_pin_hash LONGTEXT,
  IN p_dialled TEXT,
  IN p_source VARCHAR(64),
  IN p_longest_s INT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_now DATETIME DEFAULT UTC_TIMESTAMP();
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_outcome VARCHAR(32);
  DECLARE v_number VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_destination VARCHAR(64);
  DECLARE v_seconds INT;

  CALL refuse_in_transaction('card_quote');
  CALL check_card_pin(p_number, p_pin_hash, COALESCE(p_source, ''), v_account);
  IF v_account IS NULL THEN
    SET v_outcome = 'bad_credentials';
  ELSEIF COALESCE(p_dialled, '') = '' THEN
    CALL judge_account(v_account, v_now, 0, NULL, v_outcome);
  ELSE
    CALL dialled_number(v_account, p_dialled, v_number);
    CALL quote_chain(v_account, v_number, v_now, COALESCE(p_longest_s, 86400), v_outcome, v_destination, v_seconds);
  END IF;
  SELECT COALESCE(v_outcome, 'ok') AS outcome, account.name AS account, account.currency, purse.balance,
         purse.balance + purse.credit_limit - purse.held AS available, account.expires_at, v_number AS number,
         v_destination AS destination, v_seconds AS seconds
    FROM (SELECT 1) AS one
    LEFT JOIN account ON account.id = v_account
    LEFT JOIN purse ON purse.account_id = account.id;
END
