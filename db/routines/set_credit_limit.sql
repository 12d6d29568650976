-- How far an account may go below zero: text like 50.00, "0" for prepaid. Not so low that less than nothing is
-- available.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE set_credit_limit(
  IN p_account VARCHAR(64),
  IN p_credit_limit LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_credit_limit DECIMAL(18,6);
  DECLARE v_available DECIMAL(20,6);

  CALL refuse_in_transaction('set_credit_limit');
  CALL check_amount(CONCAT('credit limit of account ', COALESCE(p_account, 'NULL')), p_credit_limit, v_credit_limit);

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_account(p_account, v_id);
    CALL lock_purses(JSON_ARRAY(v_id));
    SELECT balance - held + v_credit_limit INTO v_available FROM purse WHERE account_id = v_id FOR UPDATE;
    IF v_available < 0 THEN
      CALL refuse(CONCAT('insufficient_balance: a credit limit of ', v_credit_limit, ' leaves account ', p_account, ' ',
                         v_available, ' available'));
    END IF;
    UPDATE purse SET credit_limit = v_credit_limit, forced_floor = 0 WHERE account_id = v_id;
    COMMIT;
  END;
END
