-- Voucher codes that were refused, and why: outcome unknown, is_issued, is_redeemed, is_blocked, is_cancelled, is_expired,
-- other_currency or other_owner. batch and serial are NULL for a code that nobody has.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_voucher_refusal AS
SELECT voucher_refusal.id AS refusal_id, voucher_refusal.refused_at, account.name AS account_name,
       voucher_refusal.source, voucher_refusal.outcome, batch.name AS batch, voucher_refusal.serial,
       voucher_refusal.actor, voucher_refusal.login
  FROM voucher_refusal
  STRAIGHT_JOIN account ON account.id = voucher_refusal.account_id
  LEFT JOIN voucher_batch AS batch ON batch.id = voucher_refusal.batch_id
