-- Vouchers, without their codes. state: issued (not sold yet), active, blocked, redeemed, expired, cancelled.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_voucher AS
SELECT batch.name AS batch, voucher.serial,
       CAST(IF(voucher.status IN ('issued', 'active', 'blocked') AND batch.expires_at <= UTC_TIMESTAMP(6), 'expired',
               voucher.status) AS CHAR(16) CHARACTER SET ascii) COLLATE ascii_bin AS state,
       batch.currency, batch.value, owner.name AS owner_name, batch.distributor, batch.expires_at, batch.issued_at,
       voucher.activated_at, voucher.changed_at, voucher.changed_by, voucher.redeemed_at, voucher.redeem_key,
       account.name AS account_name
  FROM voucher
  STRAIGHT_JOIN voucher_batch AS batch ON batch.id = voucher.batch_id
  LEFT JOIN account AS owner ON owner.id = batch.owner_account_id
  LEFT JOIN account ON account.id = voucher.account_id
