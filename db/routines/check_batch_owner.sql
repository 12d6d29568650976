-- The account of this name as the owner of a batch: an open reseller with room below him, or NULL, the vendor. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_batch_owner(
  IN p_what VARCHAR(64),
  IN p_owner VARCHAR(64),
  OUT p_owner_id BIGINT UNSIGNED
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  IF p_owner IS NOT NULL THEN
    CALL find_account(p_owner, p_owner_id);
    -- Not closed meanwhile: close_account changes this row. His purse is left to his calls.
    SELECT id INTO p_owner_id FROM account WHERE id = p_owner_id LOCK IN SHARE MODE;
    CALL check_parent(p_what, p_owner_id);
  END IF;
END
