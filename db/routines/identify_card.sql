-- The chain of a card, with the hash of its PIN, as caller_chain answers it. For a number that no card has it is the
-- chain of some other card (the same one each time) without a hash: the answer takes as long, and a clock does not tell
-- which cards exist. Reads only.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE identify_card(IN p_number TEXT)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_other BIGINT UNSIGNED;
  DECLARE v_pin_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin;

  CALL refuse_in_transaction('identify_card');
  -- Digits alone are looked up, so that the number compares as ascii and by index.
  IF p_number NOT REGEXP '[^0-9]' AND CHAR_LENGTH(p_number) <= 20 THEN
    SELECT account_id, pin_hash INTO v_account, v_pin_hash
      FROM credential_card
     WHERE number = CONVERT(p_number USING ascii);
  END IF;
  -- Looked up in any case.
  SELECT account_id INTO v_other
    FROM credential_card
   WHERE account_id > CRC32(p_number) MOD (SELECT MAX(account_id) FROM credential_card)
   ORDER BY account_id
   LIMIT 1;
  CALL caller_chain(COALESCE(v_account, v_other), NULL, NULL, NULL, v_pin_hash);
END
