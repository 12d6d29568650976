-- Batches of cards, and what became of them. sold: activated; used: called at least once; remaining: what sold cards can
-- still spend; forfeited: what is left on expired and cancelled ones.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_batch AS
SELECT batch.id AS batch_id, batch.name, parent.name AS parent_name, tariff.name AS tariff_name, batch.currency,
       batch.value, batch.cards, counted.issued, counted.sold, counted.used, counted.blocked, counted.expired,
       counted.cancelled, counted.sold * batch.value AS sold_value, counted.remaining, counted.forfeited,
       batch.expires_at, batch.expires_days, batch.zone, batch.distributor, batch.issued_at, batch.issued_by
  FROM card_batch AS batch
  JOIN tariff ON tariff.id = batch.tariff_id
  LEFT JOIN account AS parent ON parent.id = batch.parent_id
  JOIN (
    SELECT card.batch_id,
           CAST(SUM(card.activated_at IS NULL AND card.blocked_at IS NULL AND account.status <> 'closed')
             AS SIGNED) AS issued,
           CAST(SUM(card.activated_at IS NOT NULL) AS SIGNED) AS sold,
           CAST(SUM(card.first_used_at IS NOT NULL) AS SIGNED) AS used,
           CAST(SUM(account.status <> 'closed' AND (card.blocked_at IS NOT NULL
             OR card.activated_at IS NOT NULL AND account.status = 'suspended')) AS SIGNED) AS blocked,
           CAST(SUM(account.status <> 'closed' AND COALESCE(account.expires_at <= UTC_TIMESTAMP(6), FALSE))
             AS SIGNED) AS expired,
           CAST(SUM(account.status = 'closed') AS SIGNED) AS cancelled,
           SUM(IF(account.status = 'closed' OR COALESCE(account.expires_at <= UTC_TIMESTAMP(6), FALSE), 0,
                  purse.balance)) AS remaining,
           SUM(IF(account.status = 'closed' OR COALESCE(account.expires_at <= UTC_TIMESTAMP(6), FALSE),
                  purse.balance, 0)) AS forfeited
      FROM card
      STRAIGHT_JOIN account ON account.id = card.account_id
      STRAIGHT_JOIN purse ON purse.account_id = card.account_id
     GROUP BY card.batch_id
  ) AS counted ON counted.batch_id = batch.id
