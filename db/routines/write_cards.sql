-- Writes the cards of a new batch: suspended accounts with empty purses, until they are activated. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE write_cards(
  IN p_batch_id BIGINT UNSIGNED,
  IN p_country_code VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_cards LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_batch VARCHAR(48) DEFAULT (SELECT name FROM card_batch WHERE id = p_batch_id);

  INSERT INTO account (
    parent_id, kind, name, status, currency, tariff_id, country_code, max_calls, expires_at, created_at
  )
  SELECT batch.parent_id, 'card', CONCAT(v_batch, '-', LPAD(given.serial, 6, '0')), 'suspended', batch.currency,
         batch.tariff_id, p_country_code, 1, batch.expires_at, batch.issued_at
    FROM card_batch AS batch
    STRAIGHT_JOIN JSON_TABLE(p_cards, '$[*]' COLUMNS (serial FOR ORDINALITY)) AS given
   WHERE batch.id = p_batch_id
   ORDER BY given.serial;

  INSERT INTO card (account_id, batch_id, serial)
  SELECT account.id, p_batch_id, given.serial
    FROM JSON_TABLE(p_cards, '$[*]' COLUMNS (serial FOR ORDINALITY)) AS given
    STRAIGHT_JOIN account ON account.name = CONCAT(v_batch, '-', LPAD(given.serial, 6, '0'));

  INSERT INTO purse (account_id, unused) SELECT account_id, TRUE FROM card WHERE batch_id = p_batch_id;

  INSERT INTO credential_card (account_id, number, pin_hash)
  SELECT card.account_id, given.number, given.pin_hash
    FROM JSON_TABLE(p_cards, '$[*]' COLUMNS (
           serial FOR ORDINALITY,
           number VARCHAR(20) PATH '$[0]',
           pin_hash VARCHAR(64) PATH '$[1]'
         )) AS given
    STRAIGHT_JOIN card ON card.batch_id = p_batch_id AND card.serial = given.serial;
END
