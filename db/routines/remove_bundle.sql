-- A minute bundle that is sold no more. Refused while some account has it. What was used of it stays in the CDRs, so
-- its name stays taken.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE remove_bundle(IN p_name VARCHAR(64))
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_accounts INT;

  CALL refuse_in_transaction('remove_bundle');
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_bundle(p_name, v_id);
    SELECT COUNT(DISTINCT account_id) INTO v_accounts
      FROM account_bundle
     WHERE bundle_id = v_id AND ends_at > UTC_TIMESTAMP();
    IF v_accounts > 0 THEN
      CALL refuse(CONCAT('bundle_in_use: ', v_accounts, ' accounts have bundle ', JSON_QUOTE(p_name),
                         ': take it from them first'));
    END IF;
    UPDATE bundle SET status = 'removed' WHERE id = v_id;
    COMMIT;
  END;
  SELECT v_id AS id;
END
