-- The answer of a call: if it is the first one of a card, its days count from now on. Purse and call are locked. Does
-- nothing for anybody else. Internal.
--
-- The card expires when the Nth day after the day of first use is over in the batch's zone, or at its fixed date, if that is
-- earlier. Where the clocks jump over that midnight it is the moment of the jump, and the first where it comes twice. The
-- call itself is limited to what is left: no grant goes further.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE mark_first_use(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_account_id BIGINT UNSIGNED,
  IN p_used_at DATETIME(6)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_is_first BOOLEAN;
  DECLARE v_days INT UNSIGNED;
  DECLARE v_zone VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_midnight DATETIME;
  DECLARE v_expires_at DATETIME(6);

  SELECT TRUE, card_batch.expires_days, card_batch.zone INTO v_is_first, v_days, v_zone
    FROM purse
    JOIN card ON card.account_id = purse.account_id
    JOIN card_batch ON card_batch.id = card.batch_id
   WHERE purse.account_id = p_account_id AND purse.unused;
  IF v_is_first THEN
    UPDATE card SET first_used_at = p_used_at WHERE account_id = p_account_id;
    UPDATE purse SET unused = FALSE WHERE account_id = p_account_id;
  END IF;

  IF v_days IS NOT NULL THEN
    SELECT DATE(p_used_at + INTERVAL offset_s SECOND) + INTERVAL v_days + 1 DAY INTO v_midnight
      FROM zone_offset
     WHERE zone = v_zone AND since <= p_used_at
     ORDER BY since DESC
     LIMIT 1;
    SELECT MAX(LEAST(v_midnight - INTERVAL offset_s SECOND, until)) INTO v_expires_at
      FROM (SELECT since, offset_s, COALESCE(LEAD(since) OVER (ORDER BY since), CAST('9999-12-31' AS DATETIME)) AS until
              FROM zone_offset
             WHERE zone = v_zone) AS stretch
     WHERE since < v_midnight - INTERVAL offset_s SECOND;
    UPDATE account SET expires_at = LEAST(COALESCE(expires_at, v_expires_at), v_expires_at) WHERE id = p_account_id;
    UPDATE live_call JOIN account ON account.id = live_call.account_id
       SET live_call.limit_s = GREATEST(live_call.grant_s, LEAST(live_call.limit_s,
             GREATEST(0, TIMESTAMPDIFF(SECOND, p_used_at, account.expires_at))))
     WHERE live_call.call_key = p_key;
  END IF;
END
