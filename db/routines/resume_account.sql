-- The account is active again.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE resume_account(IN p_account VARCHAR(64))
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin;

  CALL refuse_in_transaction('resume_account');

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
    SELECT status INTO v_status FROM account WHERE id = v_id FOR UPDATE;
    IF v_status = 'closed' THEN
      CALL refuse(CONCAT('account_closed: account ', p_account, ' is closed and stays so'));
    END IF;
    CALL check_card_sold(v_id);
    UPDATE account SET status = 'active' WHERE id = v_id;
    UPDATE card SET suspended = FALSE WHERE account_id = v_id;
    COMMIT;
  END;
END
