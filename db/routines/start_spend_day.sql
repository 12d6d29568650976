-- The first charge of a day: what the accounts of a live call have spent on p_day is counted anew from its entries.
-- Usually there are none yet; after a step of the clock there may be. One account at a time, so that the entries are
-- found by account and day. The purses are locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE start_spend_day(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_day DATE
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_accounts LONGTEXT;
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_spent DECIMAL(18,6);
  DECLARE v_number INT DEFAULT 0;

  SELECT JSON_ARRAYAGG(live_leg.account_id) INTO v_accounts
    FROM live_leg STRAIGHT_JOIN purse ON purse.account_id = live_leg.account_id
   WHERE live_leg.call_key = p_key AND purse.spend_day <> p_day;

  WHILE v_number < JSON_LENGTH(v_accounts) DO
    SET v_account = JSON_VALUE(v_accounts, CONCAT('$[', v_number, ']'));
    SELECT COALESCE(SUM(-charged.amount - COALESCE(refund.amount, 0)), 0) INTO v_spent
      FROM entry AS charged
      LEFT JOIN entry AS refund ON refund.entry_key = charged.entry_key AND refund.account_id = charged.account_id
       AND refund.kind = 'call_refund'
     WHERE charged.account_id = v_account AND charged.kind = 'call'
       AND charged.created_at >= p_day AND charged.created_at < p_day + INTERVAL 1 DAY;
    UPDATE purse SET spend_day = p_day, spent = v_spent WHERE account_id = v_account;
    SET v_number = v_number + 1;
  END WHILE;
END
