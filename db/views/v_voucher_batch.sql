-- Batches of vouchers, and what became of them.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_voucher_batch AS
SELECT batch.id AS batch_id, batch.name, owner.name AS owner_name, batch.currency, batch.value, batch.vouchers,
       counted.issued, counted.active, counted.blocked, counted.redeemed, counted.cancelled,
       counted.redeemed * batch.value AS redeemed_value, counted.active * batch.value AS active_value,
       batch.expires_at, batch.distributor, batch.issued_at, batch.issued_by
  FROM voucher_batch AS batch
  LEFT JOIN account AS owner ON owner.id = batch.owner_account_id
  JOIN (
    SELECT batch_id, CAST(SUM(status = 'issued') AS SIGNED) AS issued, CAST(SUM(status = 'active') AS SIGNED) AS active,
           CAST(SUM(status = 'blocked') AS SIGNED) AS blocked, CAST(SUM(status = 'redeemed') AS SIGNED) AS redeemed,
           CAST(SUM(status = 'cancelled') AS SIGNED) AS cancelled
      FROM voucher
     GROUP BY batch_id
  ) AS counted ON counted.batch_id = batch.id
