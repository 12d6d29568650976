-- Refuses to let an account call that is a card of a batch and was not sold yet, or is blocked: activate_card books its
-- value, unblock_card knows what it was before. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_card_sold(IN p_account_id BIGINT UNSIGNED)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  IF EXISTS (
    SELECT 1 FROM card WHERE account_id = p_account_id AND (activated_at IS NULL OR blocked_at IS NOT NULL)
  ) THEN
    CALL refuse(CONCAT('card_not_active: account ', p_account_id,
                       ' is a card that was not activated, or is blocked: activate or unblock the card'));
  END IF;
END
