-- The account of the card with this number and PIN; NULL: there is none, the PIN is wrong, or there were too many wrong
-- ones. From one source three in a row are free, from all sources together ten; a source that the right PIN came from
-- within a month is not held to the latter, so that a guesser does not lock the owner out. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_card_pin(
  IN p_number TEXT,
  IN p_pin_hash LONGTEXT,
  IN p_source VARCHAR(64),
  OUT p_account_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_pin_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_place VARCHAR(96);
  DECLARE v_is_known BOOLEAN DEFAULT FALSE;
  DECLARE v_wait_s INT;

  SET p_account_id = NULL;
  IF p_number REGEXP '\\A[0-9]{4,20}\\z' THEN
    SELECT account_id INTO v_account FROM credential_card WHERE number = CONVERT(p_number USING ascii);
  END IF;
  IF v_account IS NOT NULL THEN
    SET v_place = CONCAT(v_account, '/', p_source);
    BEGIN
      DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
      BEGIN
        ROLLBACK;
        RESIGNAL;
      END;
      SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
      START TRANSACTION READ WRITE;
      -- The counts may not be there yet, and what is not there cannot be locked: guesses at a card wait for each other here.
      SELECT pin_hash INTO v_pin_hash FROM credential_card WHERE account_id = v_account FOR UPDATE;
      CALL guess_wait('card_source', v_place, v_wait_s);
      SELECT COALESCE(MAX(failures = 0), FALSE) INTO v_is_known
        FROM guess_count
       WHERE kind = 'card_source' AND place = SHA2(v_place, 256);
      IF v_wait_s = 0 AND NOT v_is_known THEN
        CALL guess_wait('card', v_account, v_wait_s);
      END IF;
      IF v_wait_s = 0 AND v_pin_hash = p_pin_hash THEN
        SET p_account_id = v_account;
        CALL remember_source(v_place, v_is_known);
      ELSEIF v_wait_s = 0 THEN
        CALL count_guess('card_source', v_place, 3);
        CALL count_guess('card', v_account, 10);
      END IF;
      COMMIT;
    END;
  END IF;
END
