-- Books the value of those of p_accounts that wait to be activated, and lets those call that nobody suspended. Their purses are locked, and the
-- key is claimed. Internal, and never granted: it makes money.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE write_activation(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_batch_id BIGINT UNSIGNED,
  IN p_accounts LONGTEXT,
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);
  DECLARE v_batch VARCHAR(48);
  DECLARE v_value DECIMAL(18,6);
  DECLARE v_expires_at DATETIME(6);

  SELECT name, value, expires_at INTO v_batch, v_value, v_expires_at FROM card_batch WHERE id = p_batch_id;
  IF v_expires_at <= v_now THEN
    CALL refuse(CONCAT('batch_expired: batch ', v_batch, ' expired at ', v_expires_at));
  END IF;

  UPDATE JSON_TABLE(p_accounts, '$[*]' COLUMNS (account_id BIGINT UNSIGNED PATH '$')) AS chosen
         STRAIGHT_JOIN card FORCE INDEX (PRIMARY) ON card.account_id = chosen.account_id
         STRAIGHT_JOIN account FORCE INDEX (PRIMARY) ON account.id = card.account_id
     SET card.activation_key = p_key, card.activated_at = v_now, card.activated_by = p_actor,
         account.status = IF(card.suspended, 'suspended', 'active')
   WHERE card.activated_at IS NULL AND card.blocked_at IS NULL AND account.status <> 'closed';

  INSERT INTO entry (
    entry_key, account_id, kind, amount, balance_after, available_after, actor, login, reason, reference, created_at
  )
  SELECT p_key, card.account_id, 'card_value', v_value, purse.balance + v_value,
         purse.balance + purse.credit_limit - purse.held + v_value, p_actor, USER(), 'card activated', v_batch, v_now
    FROM card STRAIGHT_JOIN purse ON purse.account_id = card.account_id
   WHERE card.activation_key = p_key AND v_value > 0;

  UPDATE card
         STRAIGHT_JOIN entry ON entry.entry_key = p_key AND entry.account_id = card.account_id
           AND entry.kind = 'card_value'
         STRAIGHT_JOIN purse FORCE INDEX (PRIMARY) ON purse.account_id = card.account_id
     SET purse.balance = entry.balance_after,
         purse.forced_floor = LEAST(0, entry.available_after)
   WHERE card.activation_key = p_key;
END
