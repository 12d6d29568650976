-- Sells cards p_from to p_to of a batch (NULL: from the first, to the last): books the value of each, and lets them call.
-- Cards that are active, blocked or cancelled stay as they are. Answers cards and value, the sum booked; the same key
-- answers the same for ever, and is an error with other content.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE activate_cards(
  IN p_key LONGTEXT,
  IN p_batch VARCHAR(48),
  IN p_from INT UNSIGNED,
  IN p_to INT UNSIGNED,
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_repeated BOOLEAN;
  DECLARE v_batch BIGINT UNSIGNED;
  DECLARE v_accounts LONGTEXT;

  CALL refuse_in_transaction('activate_cards');
  CALL check_key('activate_cards', p_key, v_key);
  CALL check_actor(CONCAT('activation of batch ', COALESCE(p_batch, 'NULL')), p_actor);
  CALL find_card_range(p_batch, p_from, p_to, v_batch);
  SET v_hash = SHA2(JSON_ARRAY('card_value', v_batch, p_from, p_to, p_actor), 256);

  BEGIN
    -- The same content has the same purses and waited for their locks, so a key that appears only now has other
    -- content.
    DECLARE EXIT HANDLER FOR 1062
    BEGIN
      ROLLBACK;
      CALL refuse(CONCAT('key_conflict: key ', v_key, ' was used with other content'));
    END;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL lock_cards(v_batch, p_from, p_to, v_accounts);
    CALL claim_key(v_key, v_hash, v_repeated);
    IF NOT v_repeated THEN
      CALL write_activation(v_key, v_batch, v_accounts, p_actor);
      IF NOT EXISTS (SELECT 1 FROM card WHERE activation_key = v_key) THEN
        CALL refuse(CONCAT('no_card: none of cards ', p_from, ' to ', p_to, ' of batch ', p_batch,
                           ' waits to be activated'));
      END IF;
    END IF;
    COMMIT;
  END;
  SELECT COUNT(*) AS cards, SUM(card_batch.value) AS value
    FROM card JOIN card_batch ON card_batch.id = card.batch_id
   WHERE card.activation_key = v_key;
END
