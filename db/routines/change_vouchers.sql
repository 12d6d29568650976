-- The transaction of activate_vouchers, block_vouchers, unblock_vouchers and cancel_vouchers; p_become: 'active',
-- 'blocked', 'unblocked', 'cancelled'. What is redeemed or cancelled stays so. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE change_vouchers(
  IN p_become VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_batch VARCHAR(48),
  IN p_from INT UNSIGNED,
  IN p_to INT UNSIGNED,
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);
  DECLARE v_batch BIGINT UNSIGNED;
  DECLARE v_size INT UNSIGNED;
  DECLARE v_first INT UNSIGNED DEFAULT COALESCE(p_from, 1);
  DECLARE v_last INT UNSIGNED;
  DECLARE v_vouchers INT;

  CALL check_actor(CONCAT('batch ', COALESCE(p_batch, 'NULL')), p_actor);
  SELECT id, vouchers INTO v_batch, v_size FROM voucher_batch WHERE name = p_batch;
  IF v_batch IS NULL THEN
    CALL refuse(CONCAT('unknown_batch: there is no batch of vouchers named ', COALESCE(p_batch, 'NULL')));
  END IF;
  SET v_last = COALESCE(p_to, v_size);
  IF v_first < 1 OR v_last > v_size OR v_first > v_last THEN
    CALL refuse(CONCAT('unknown_voucher: batch ', p_batch, ' has vouchers 1 to ', v_size, ', not ', v_first, ' to ',
                       v_last));
  END IF;

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    UPDATE voucher FORCE INDEX (PRIMARY)
       SET activated_at = IF(p_become = 'active', v_now, activated_at),
           status = CASE p_become WHEN 'unblocked' THEN IF(activated_at IS NULL, 'issued', 'active') ELSE p_become END,
           changed_at = v_now,
           changed_by = p_actor
     WHERE batch_id = v_batch AND serial BETWEEN v_first AND v_last
       AND CASE p_become WHEN 'active' THEN status = 'issued'
                         WHEN 'blocked' THEN status IN ('issued', 'active')
                         WHEN 'unblocked' THEN status = 'blocked'
                         ELSE status IN ('issued', 'active', 'blocked') END
     ORDER BY serial;
    SET v_vouchers = ROW_COUNT();
    IF v_vouchers = 0 THEN
      CALL refuse(CONCAT('no_voucher: none of vouchers ', v_first, ' to ', v_last, ' of batch ', p_batch,
                         ' can become ', p_become));
    END IF;
    COMMIT;
  END;
  SELECT v_vouchers AS vouchers;
END
