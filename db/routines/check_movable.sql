-- Refuses to move money on a closed account, or between accounts of two owners or currencies. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_movable(
  IN p_kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_account_id BIGINT UNSIGNED,
  IN p_other_account_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_closed BIGINT UNSIGNED;

  SELECT MIN(id) INTO v_closed FROM account WHERE id IN (p_account_id, p_other_account_id) AND status = 'closed';
  IF v_closed IS NOT NULL THEN
    CALL refuse(CONCAT('account_closed: account ', v_closed, ' is closed, and takes no ', p_kind));
  END IF;
  IF p_other_account_id IS NOT NULL AND NOT EXISTS (
    SELECT 1
      FROM account AS one JOIN account AS other
     WHERE one.id = p_account_id AND other.id = p_other_account_id
       AND (one.parent_id <=> other.parent_id OR one.parent_id = other.id OR other.parent_id = one.id)
       AND one.currency = other.currency
  ) THEN
    CALL refuse(CONCAT('foreign_account: accounts ', p_account_id, ' and ', p_other_account_id,
                       ' are not of one owner and one currency'));
  END IF;
END
