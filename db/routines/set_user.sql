-- Changes settings of a user, those that p_settings names: a JSON object of name, max_calls, longest_call_s and
-- max_calls_per_second, where null is none.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE set_user(
  IN p_account VARCHAR(64),
  IN p_user VARCHAR(64),
  IN p_settings LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('set_user');

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_user(p_account, p_user, v_account, v_id);
    CALL write_user(p_account, v_account, v_id, p_settings);
    COMMIT;
  END;
END
