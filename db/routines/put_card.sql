-- The number and PIN of a card's or customer's account, or a new PIN for it: p_pin_hash is hex HMAC-SHA256 of
-- number:pin. Takes the purse's lock, so that no two give one account two numbers.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE put_card(
  IN p_account VARCHAR(64),
  IN p_number TEXT,
  IN p_pin_hash LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('put_card');
  CALL check_cards(CONCAT('account ', COALESCE(p_account, 'NULL')), JSON_ARRAY(JSON_ARRAY(p_number, p_pin_hash)));
  BEGIN
    DECLARE EXIT HANDLER FOR 1062
    BEGIN
      ROLLBACK;
      CALL refuse(CONCAT('number_taken: another card has the number ', p_number));
    END;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_account(p_account, v_id);
    CALL lock_purses(JSON_ARRAY(v_id));
    IF EXISTS (SELECT 1 FROM account WHERE id = v_id AND kind = 'reseller') THEN
      CALL refuse(CONCAT('invalid_content: account ', p_account, ' is a reseller, who has no card'));
    END IF;
    IF EXISTS (SELECT 1 FROM credential_card WHERE account_id = v_id) THEN
      UPDATE credential_card SET number = p_number, pin_hash = p_pin_hash WHERE account_id = v_id;
    ELSE
      INSERT INTO credential_card (account_id, number, pin_hash) VALUES (v_id, p_number, p_pin_hash);
    END IF;
    COMMIT;
  END;
END
