-- The transaction of block_cards, unblock_cards and cancel_cards; p_to: 'blocked', 'unblocked', 'cancelled'. Takes the
-- purses' locks like open_call: when this is through, no call is still about to open on the old status. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE change_cards(
  IN p_become VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_batch VARCHAR(48),
  IN p_from INT UNSIGNED,
  IN p_to INT UNSIGNED,
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_batch BIGINT UNSIGNED;
  DECLARE v_accounts LONGTEXT;
  DECLARE v_cards INT;
  DECLARE v_busy INT UNSIGNED;

  CALL check_actor(CONCAT('batch ', COALESCE(p_batch, 'NULL')), p_actor);
  CALL find_card_range(p_batch, p_from, p_to, v_batch);
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL lock_cards(v_batch, p_from, p_to, v_accounts);

    SELECT MIN(IF(purse.calls > 0, card.serial, NULL)),
           COUNT(CASE WHEN account.status = 'closed' THEN NULL
                      WHEN p_become = 'blocked' AND card.blocked_at IS NULL THEN 1
                      WHEN p_become = 'unblocked' AND card.blocked_at IS NOT NULL THEN 1
                      WHEN p_become = 'cancelled' THEN 1 END)
      INTO v_busy, v_cards
      FROM card
      STRAIGHT_JOIN account ON account.id = card.account_id
      STRAIGHT_JOIN purse ON purse.account_id = card.account_id
     WHERE card.batch_id = v_batch AND card.serial BETWEEN p_from AND p_to;
    IF p_become = 'cancelled' AND v_busy IS NOT NULL THEN
      CALL refuse(CONCAT('calls_in_progress: card ', v_busy, ' of batch ', p_batch,
                         ' has a call in progress: block it first'));
    END IF;
    IF v_cards = 0 THEN
      CALL refuse(CONCAT('no_card: none of cards ', p_from, ' to ', p_to, ' of batch ', p_batch, ' can become ',
                         p_become));
    END IF;
    CALL write_card_change(p_become, v_accounts, p_actor);
    COMMIT;
  END;
  SELECT v_cards AS cards;
END
