-- Pays a voucher that judge_voucher let pass. Purse and voucher are locked, the key is claimed. Internal, and never
-- granted: it makes money.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE pay_voucher(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_code CHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_account_id BIGINT UNSIGNED,
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_value DECIMAL(18,6);
  DECLARE v_reference VARCHAR(128);

  SELECT batch.value, CONCAT(batch.name, '-', LPAD(voucher.serial, 6, '0')) INTO v_value, v_reference
    FROM voucher JOIN voucher_batch AS batch ON batch.id = voucher.batch_id
   WHERE voucher.code_hash = p_code;
  CALL post_entry(p_key, p_account_id, 'voucher', v_value, p_actor, 'voucher redeemed', v_reference, FALSE);
  UPDATE voucher
     SET status = 'redeemed', redeem_key = p_key, account_id = p_account_id, redeemed_at = UTC_TIMESTAMP(6),
         changed_at = redeemed_at, changed_by = p_actor
   WHERE code_hash = p_code;
  DELETE FROM guess_count WHERE kind = 'voucher_account' AND place = SHA2(p_account_id, 256);
END
