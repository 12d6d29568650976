-- Removes a user with his passwords and caller numbers. CDRs keep his name, which another may have from now on. Refused
-- while he has a call in progress, or a trunk.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE remove_user(
  IN p_account VARCHAR(64),
  IN p_user VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_calls INT;
  DECLARE v_trunk VARCHAR(64);

  CALL refuse_in_transaction('remove_user');

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_user(p_account, p_user, v_account, v_id);
    SELECT COUNT(*) INTO v_calls FROM live_call WHERE user_id = v_id;
    IF v_calls > 0 THEN
      CALL refuse(CONCAT('calls_in_progress: user ', p_user, ' of account ', p_account, ' has ', v_calls,
                         ' calls in progress: suspend him first'));
    END IF;
    SELECT MIN(name) INTO v_trunk FROM trunk WHERE user_id = v_id;
    IF v_trunk IS NOT NULL THEN
      CALL refuse(CONCAT('trunk_in_use: trunk ', v_trunk, ' belongs to user ', p_user, ' of account ', p_account,
                         ': remove it first'));
    END IF;
    DELETE FROM credential_digest WHERE user_id = v_id;
    DELETE FROM credential_caller_number WHERE user_id = v_id;
    DELETE FROM user_prefix WHERE user_id = v_id;
    DELETE FROM shown_number WHERE account_id = v_account AND user_id = v_id;
    UPDATE user SET status = 'removed', prefix_rules = NULL, shown_numbers = NULL WHERE id = v_id;
    COMMIT;
  END;
END
