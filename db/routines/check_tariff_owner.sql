-- Refuses an owner who is no open reseller, and another owner for a tariff that accounts are charged at: they are below
-- the one that it has. The tariff is locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_tariff_owner(
  IN p_tariff VARCHAR(64),
  IN p_owner_account_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_owner BIGINT UNSIGNED;
  DECLARE v_accounts INT;
  DECLARE v_example VARCHAR(64);

  IF p_owner_account_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM account WHERE id = p_owner_account_id AND kind = 'reseller' AND status <> 'closed'
  ) THEN
    CALL refuse(CONCAT('invalid_owner: account ', p_owner_account_id, ' is no open reseller, so it cannot own tariff ',
                       COALESCE(p_tariff, 'NULL')));
  END IF;

  SELECT id, owner_account_id INTO v_id, v_owner FROM tariff WHERE name = p_tariff FOR UPDATE;
  IF v_id IS NOT NULL AND NOT (v_owner <=> p_owner_account_id) THEN
    SELECT COUNT(*), MIN(name) INTO v_accounts, v_example FROM account WHERE tariff_id = v_id;
    IF v_accounts > 0 THEN
      CALL refuse(CONCAT('tariff_in_use: ', v_accounts, ' accounts are charged at tariff ', p_tariff, ', such as ',
                         v_example, ': its owner stays'));
    END IF;
  END IF;
END
