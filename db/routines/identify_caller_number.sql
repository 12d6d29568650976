-- The chain of the user or card that this number is on an active trunk for caller numbers, as caller_chain answers
-- it. Reads only.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE identify_caller_number(
  IN p_trunk_id BIGINT UNSIGNED,
  IN p_number TEXT
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_user BIGINT UNSIGNED;

  CALL refuse_in_transaction('identify_caller_number');
  -- Digits alone are looked up, so that the number compares as ascii and by index.
  IF p_number NOT REGEXP '[^0-9]' AND CHAR_LENGTH(p_number) <= 20 THEN
    SELECT COALESCE(caller.account_id, user.account_id), caller.user_id INTO v_account, v_user
      FROM credential_caller_number AS caller
      JOIN trunk ON trunk.id = caller.trunk_id
      LEFT JOIN user ON user.id = caller.user_id
     WHERE caller.trunk_id = p_trunk_id AND caller.number = CONVERT(p_number USING ascii)
       AND trunk.kind = 'caller_number' AND trunk.status = 'active';
  END IF;
  CALL caller_chain(v_account, v_user, NULL, NULL, NULL);
END
