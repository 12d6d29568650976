-- Locks the purses of some cards of a batch, in ascending order of id like lock_purses, and answers their accounts as a
-- JSON array. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE lock_cards(
  IN p_batch_id BIGINT UNSIGNED,
  IN p_from INT UNSIGNED,
  IN p_to INT UNSIGNED,
  OUT p_accounts LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_locked INT;

  SET SESSION group_concat_max_len = 16777216; -- or the list would be cut; a batch has 50,000 cards at most
  SELECT JSON_ARRAYAGG(account_id ORDER BY account_id) INTO p_accounts
    FROM card
   WHERE batch_id = p_batch_id AND serial BETWEEN p_from AND p_to;
  SELECT COUNT(*) INTO v_locked
    FROM JSON_TABLE(p_accounts, '$[*]' COLUMNS (account_id BIGINT UNSIGNED PATH '$')) AS chosen
    STRAIGHT_JOIN purse FORCE INDEX (PRIMARY) ON purse.account_id = chosen.account_id
     FOR UPDATE;
END
