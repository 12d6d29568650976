-- 'redeemed' if the voucher with this code may be paid into the account, whose purse is locked; or why not. Locks the
-- voucher. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE judge_voucher(
  IN p_code CHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_account_id BIGINT UNSIGNED,
  OUT p_outcome VARCHAR(32)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_batch BIGINT UNSIGNED;
  DECLARE v_status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin;

  SELECT batch_id, status INTO v_batch, v_status FROM voucher WHERE code_hash = p_code FOR UPDATE;
  SELECT CASE
           WHEN v_batch IS NULL THEN 'unknown'
           WHEN v_status <> 'active' THEN CONCAT('is_', v_status)
           WHEN batch.expires_at <= UTC_TIMESTAMP(6) THEN 'is_expired'
           WHEN batch.currency <> account.currency THEN 'other_currency'
           WHEN NOT (batch.owner_account_id <=> account.parent_id) THEN 'other_owner'
           ELSE 'redeemed'
         END
    INTO p_outcome
    FROM account LEFT JOIN voucher_batch AS batch ON batch.id = v_batch
   WHERE account.id = p_account_id;
END
