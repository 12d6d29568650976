-- The transaction of top_up, refund, adjust and transfer: posts p_amount on p_account_id and, given
-- p_other_account_id, its opposite there. Internal, and never granted: who holds it can make money.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE move_money(
  IN p_kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_key LONGTEXT,
  IN p_account_id BIGINT UNSIGNED,
  IN p_amount DECIMAL(18,6),
  IN p_other_account_id BIGINT UNSIGNED,
  IN p_actor VARCHAR(64),
  IN p_reason VARCHAR(255),
  IN p_reference VARCHAR(128),
  IN p_force BOOLEAN
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_repeated BOOLEAN;
  DECLARE v_accounts LONGTEXT DEFAULT IF(p_other_account_id IS NULL, JSON_ARRAY(p_account_id),
                                         JSON_ARRAY(p_account_id, p_other_account_id));
  DECLARE v_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT SHA2(JSON_ARRAY(
    p_kind, p_account_id, p_amount, p_other_account_id, p_actor, p_reason, p_reference, p_force), 256);

  CALL check_key(p_kind, p_key, v_key);
  IF p_amount = 0 THEN
    CALL refuse(CONCAT('invalid_amount: ', p_kind, ' of account ', COALESCE(p_account_id, 'NULL'),
                       ' moves nothing: 0'));
  END IF;
  IF TRIM(COALESCE(p_actor, '')) = '' THEN
    CALL refuse(CONCAT('invalid_content: ', p_kind, ' of account ', COALESCE(p_account_id, 'NULL'), ' names no actor'));
  END IF;

  BEGIN
    -- The same content has the same purses and waited for their locks, so a key that appears only now has other
    -- content.
    DECLARE EXIT HANDLER FOR 1062
    BEGIN
      ROLLBACK;
      CALL refuse(CONCAT('key_conflict: key ', v_key, ' was used with other content'));
    END;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL lock_purses(v_accounts);
    CALL claim_key(v_key, v_hash, v_repeated);
    IF NOT v_repeated THEN
      CALL check_movable(p_kind, p_account_id, p_other_account_id);
      CALL check_call_final(p_kind, p_account_id, p_reference, p_reason);
      CALL post_entry(v_key, p_account_id, p_kind, p_amount, p_actor, p_reason, p_reference, p_force);
      IF p_other_account_id IS NOT NULL THEN
        CALL post_entry(v_key, p_other_account_id, p_kind, -p_amount, p_actor, p_reason, p_reference, FALSE);
      END IF;
    END IF;
    COMMIT;
  END;

  SELECT account_id, amount, balance_after AS balance, available_after AS available
    FROM (SELECT account_id, amount, balance_after, available_after FROM entry WHERE entry_key = v_key AND kind = p_kind
          UNION ALL
          SELECT account_id, amount, balance_after, available_after
            FROM entry_archive
           WHERE entry_key = v_key AND kind = p_kind) AS posted
   ORDER BY account_id <> p_account_id;
END
