-- Pays a voucher into the card or customer named p_account, once. p_code_hash: hex HMAC-SHA256 of voucher:code.
-- p_source: where the guess comes from (a caller's number, an IP address; '' is nowhere). Answers account_id, amount,
-- balance, available; the same key answers the same for ever, and is an error with other content.
--
-- Whatever is wrong with a code - unknown, not sold yet, redeemed, expired, blocked, another currency's or another
-- owner's - the answer is voucher_refused; v_voucher_refusal has the truth. Wrong ones are counted for the account and
-- for the source; past some in a row both must wait, longer each time, and no code is looked at meanwhile.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE redeem_voucher(
  IN p_key LONGTEXT,
  IN p_code_hash LONGTEXT,
  IN p_account VARCHAR(64),
  IN p_source VARCHAR(64),
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_code CHAR(64) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_repeated BOOLEAN;
  DECLARE v_wait_s INT;
  DECLARE v_outcome VARCHAR(32);

  CALL refuse_in_transaction('redeem_voucher');
  CALL check_key('redeem_voucher', p_key, v_key);
  CALL check_actor('redeem_voucher', p_actor);
  IF NOT COALESCE(p_code_hash REGEXP '\\A(?-i)[0-9a-f]{64}\\z', FALSE) THEN
    CALL refuse('invalid_content: redeem_voucher was not given the hash of a code');
  END IF;
  SET v_code = p_code_hash;
  CALL find_account(p_account, v_account);
  SET v_hash = SHA2(JSON_ARRAY('voucher', v_account, v_code, p_actor), 256);

  BEGIN
    -- The same content has the same purse and waited for its lock, so a key that appears only now has other content.
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
    CALL lock_purses(JSON_ARRAY(v_account));
    CALL find_key(v_key, v_hash, v_repeated);
    IF NOT v_repeated THEN
      CALL check_redeemer(v_account);
      CALL guess_wait('voucher_account', v_account, v_wait_s);
      IF v_wait_s = 0 THEN
        CALL guess_wait('voucher_source', p_source, v_wait_s);
      END IF;
      IF v_wait_s > 0 THEN
        SET v_outcome = 'locked';
      ELSE
        CALL judge_voucher(v_code, v_account, v_outcome);
        IF v_outcome = 'redeemed' THEN
          CALL claim_key(v_key, v_hash, v_repeated);
          CALL pay_voucher(v_key, v_code, v_account, p_actor);
        ELSE
          CALL note_voucher_refusal(v_code, v_account, COALESCE(p_source, ''), v_outcome, p_actor);
        END IF;
      END IF;
    END IF;
    COMMIT; -- of a wrong guess, too: it counts
  END;

  IF v_outcome = 'locked' THEN
    CALL refuse(CONCAT('voucher_locked: too many wrong codes: try again in ', v_wait_s, ' s'));
  ELSEIF v_outcome <> 'redeemed' THEN
    CALL refuse('voucher_refused: this code cannot be redeemed');
  END IF;
  SELECT account_id, amount, balance_after AS balance, available_after AS available
    FROM entry
   WHERE entry_key = v_key AND kind = 'voucher'
  UNION ALL
  SELECT account_id, amount, balance_after, available_after
    FROM entry_archive
   WHERE entry_key = v_key AND kind = 'voucher';
END
