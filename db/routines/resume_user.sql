-- The user is active again.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE resume_user(
  IN p_account VARCHAR(64),
  IN p_user VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('resume_user');

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_user(p_account, p_user, v_account, v_id);
    UPDATE user SET status = 'active' WHERE id = v_id;
    COMMIT;
  END;
END
