-- An account's id and those of all above it, a JSON array. Locks nothing: it says what is to be locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE chain_of(
  IN p_account_id BIGINT UNSIGNED,
  OUT p_chain LONGTEXT
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_above BIGINT UNSIGNED DEFAULT p_account_id;

  SET p_chain = '[]';
  WHILE v_above IS NOT NULL AND JSON_LENGTH(p_chain) < 9 DO -- a chain has 8
    SET p_chain = JSON_ARRAY_APPEND(p_chain, '$', v_above);
    SELECT MAX(parent_id) INTO v_above FROM account WHERE id = v_above; -- SET .. = (SELECT) would lock
  END WHILE;
END
