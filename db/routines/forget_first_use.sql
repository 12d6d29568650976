-- Takes back the first use that the reaper marked for a provisional call, whose truth is there now: the card, p_account_id,
-- is unused again and expires as its batch says. Does nothing for anybody else (NULL). Purses and CDR are locked, and
-- the CDR is as the reaper wrote it. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE forget_first_use(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  OUT p_account_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_days INT UNSIGNED;
  DECLARE v_ends_at DATETIME(6);

  SET p_account_id = NULL;
  SELECT card.account_id, card_batch.expires_days, card_batch.expires_at INTO p_account_id, v_days, v_ends_at
    FROM cdr
    STRAIGHT_JOIN card ON card.account_id = cdr.account_id
    STRAIGHT_JOIN card_batch ON card_batch.id = card.batch_id
   WHERE cdr.call_key = p_key AND cdr.answered_at IS NULL
     AND card.first_used_at = cdr.ended_at - INTERVAL cdr.grant_s SECOND;
  IF p_account_id IS NOT NULL THEN
    UPDATE card SET first_used_at = NULL WHERE account_id = p_account_id;
    UPDATE purse SET unused = TRUE WHERE account_id = p_account_id;
    IF v_days IS NOT NULL THEN
      UPDATE account SET expires_at = v_ends_at WHERE id = p_account_id;
    END IF;
  END IF;
END
