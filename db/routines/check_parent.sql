-- Refuses a parent that is no open reseller, or under which a chain would be longer than 8 accounts. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_parent(
  IN p_name VARCHAR(64),
  IN p_parent_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_above BIGINT UNSIGNED DEFAULT p_parent_id;
  DECLARE v_length INT DEFAULT 1;

  IF p_parent_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM account WHERE id = p_parent_id AND kind = 'reseller' AND status <> 'closed'
  ) THEN
    CALL refuse(CONCAT('invalid_parent: account ', p_parent_id, ' is no open reseller, so it cannot have ', p_name));
  END IF;

  WHILE v_above IS NOT NULL DO
    SET v_length = v_length + 1;
    IF v_length > 8 THEN
      CALL refuse(CONCAT('invalid_parent: under account ', p_parent_id, ', ', p_name,
                         ' would be the 9th of its chain'));
    END IF;
    SELECT MAX(parent_id) INTO v_above FROM account WHERE id = v_above;
  END WHILE;
END
