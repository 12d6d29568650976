-- The batch and the serial number of the card with this number. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE find_card(
  IN p_number TEXT,
  OUT p_batch VARCHAR(48),
  OUT p_serial INT UNSIGNED
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;

  IF p_number REGEXP '\\A[0-9]{4,20}\\z' THEN
    SELECT account_id INTO v_account FROM credential_card WHERE number = CONVERT(p_number USING ascii);
  END IF;
  IF v_account IS NULL THEN
    CALL refuse(CONCAT('unknown_card: there is no card with the number ', COALESCE(LEFT(p_number, 40), 'NULL')));
  END IF;
  SELECT card_batch.name, card.serial INTO p_batch, p_serial
    FROM card JOIN card_batch ON card_batch.id = card.batch_id
   WHERE card.account_id = v_account;
  IF p_batch IS NULL THEN
    CALL refuse(CONCAT('unknown_card: card ', p_number, ' is of no batch; suspend or close its account'));
  END IF;
END
