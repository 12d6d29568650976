-- Blocks, unblocks or cancels those of p_accounts that can be; their purses are locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE write_card_change(
  IN p_become VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_accounts LONGTEXT,
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);

  IF p_become = 'blocked' THEN
    UPDATE JSON_TABLE(p_accounts, '$[*]' COLUMNS (account_id BIGINT UNSIGNED PATH '$')) AS chosen
           STRAIGHT_JOIN card FORCE INDEX (PRIMARY) ON card.account_id = chosen.account_id
           STRAIGHT_JOIN account FORCE INDEX (PRIMARY) ON account.id = card.account_id
       SET card.blocked_at = v_now, card.blocked_by = p_actor, account.status = 'suspended'
     WHERE card.blocked_at IS NULL AND account.status <> 'closed';
  ELSEIF p_become = 'unblocked' THEN
    UPDATE JSON_TABLE(p_accounts, '$[*]' COLUMNS (account_id BIGINT UNSIGNED PATH '$')) AS chosen
           STRAIGHT_JOIN card FORCE INDEX (PRIMARY) ON card.account_id = chosen.account_id
           STRAIGHT_JOIN account FORCE INDEX (PRIMARY) ON account.id = card.account_id
       SET card.blocked_at = NULL, card.blocked_by = '',
           account.status = IF(card.activated_at IS NULL OR card.suspended, 'suspended', 'active')
     WHERE card.blocked_at IS NOT NULL AND account.status <> 'closed';
  ELSE
    UPDATE JSON_TABLE(p_accounts, '$[*]' COLUMNS (account_id BIGINT UNSIGNED PATH '$')) AS chosen
           STRAIGHT_JOIN card FORCE INDEX (PRIMARY) ON card.account_id = chosen.account_id
           STRAIGHT_JOIN account FORCE INDEX (PRIMARY) ON account.id = card.account_id
       SET card.cancelled_at = v_now, card.cancelled_by = p_actor, account.status = 'closed'
     WHERE account.status <> 'closed';
  END IF;
END
