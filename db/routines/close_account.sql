-- Closes an account for good. It must have no call in progress and nothing held, a balance of 0, and no open account
-- below it. Closed again is closed.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE close_account(IN p_account VARCHAR(64))
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_calls INT UNSIGNED;
  DECLARE v_held DECIMAL(18,6);
  DECLARE v_balance DECIMAL(18,6);
  DECLARE v_children INT;
  DECLARE v_child VARCHAR(64);

  CALL refuse_in_transaction('close_account');

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
    -- Whoever issues cards below it holds a share of this row until they are there.
    SELECT id INTO v_id FROM account WHERE id = v_id FOR UPDATE;
    SELECT calls, held, balance INTO v_calls, v_held, v_balance FROM purse WHERE account_id = v_id;
    SELECT COUNT(*), MIN(name) INTO v_children, v_child FROM account WHERE parent_id = v_id AND status <> 'closed';

    IF v_calls > 0 OR v_held > 0 THEN
      CALL refuse(CONCAT('calls_in_progress: account ', p_account, ' has ', v_calls, ' calls in progress that hold ',
                         v_held, ': suspend it first'));
    END IF;
    IF v_children > 0 THEN
      CALL refuse(CONCAT('open_children: account ', p_account, ' has ', v_children, ' open accounts below it, such as ',
                         v_child));
    END IF;
    IF v_balance <> 0 THEN
      CALL refuse(CONCAT('balance_left: account ', p_account, ' has a balance of ', v_balance,
                         ': transfer or adjust it first'));
    END IF;
    UPDATE account SET status = 'closed' WHERE id = v_id;
    COMMIT;
  END;
END
