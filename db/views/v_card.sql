-- Cards with their money. state: issued (not sold yet), active, used (called at least once), blocked, expired, cancelled.
-- What belongs to a batch is NULL for a card that was made by itself.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_card AS
SELECT account.id AS account_id, account.name, credential_card.number, batch.name AS batch, card.serial,
       CAST(CASE
         WHEN account.status = 'closed' THEN 'cancelled'
         WHEN card.blocked_at IS NOT NULL THEN 'blocked'
         WHEN account.expires_at <= UTC_TIMESTAMP(6) THEN 'expired'
         WHEN card.account_id IS NOT NULL AND card.activated_at IS NULL THEN 'issued'
         WHEN account.status = 'suspended' THEN 'blocked'
         WHEN card.first_used_at IS NOT NULL THEN 'used'
         ELSE 'active'
       END AS CHAR(16) CHARACTER SET ascii) COLLATE ascii_bin AS state,
       account.currency, batch.value, purse.balance, purse.held,
       purse.balance + purse.credit_limit - purse.held AS available, purse.calls, parent.name AS parent_name,
       tariff.name AS tariff_name, batch.distributor, batch.expires_days, batch.zone, account.expires_at,
       account.created_at, card.activated_at, card.activated_by, card.first_used_at, card.blocked_at, card.blocked_by,
       card.cancelled_at, card.cancelled_by
  FROM account
  STRAIGHT_JOIN purse ON purse.account_id = account.id
  STRAIGHT_JOIN tariff ON tariff.id = account.tariff_id
  LEFT JOIN account AS parent ON parent.id = account.parent_id
  LEFT JOIN credential_card ON credential_card.account_id = account.id
  LEFT JOIN card ON card.account_id = account.id
  LEFT JOIN card_batch AS batch ON batch.id = card.batch_id
 WHERE account.kind = 'card'
