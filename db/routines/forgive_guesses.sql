-- Forgets the wrong voucher codes of an account, whose owner need not wait any more. Answers forgiven, how many there
-- were.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE forgive_guesses(IN p_account VARCHAR(64))
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_failures INT UNSIGNED;

  CALL refuse_in_transaction('forgive_guesses');
  CALL find_account(p_account, v_account);
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL lock_purses(JSON_ARRAY(v_account));
    SELECT failures INTO v_failures FROM guess_count
     WHERE kind = 'voucher_account' AND place = SHA2(v_account, 256) FOR UPDATE;
    DELETE FROM guess_count WHERE kind = 'voucher_account' AND place = SHA2(v_account, 256);
    COMMIT;
  END;
  SELECT COALESCE(v_failures, 0) AS forgiven;
END
