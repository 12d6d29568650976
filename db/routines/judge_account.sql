-- Why an account cannot pay p_smallest for a call now; NULL: it can. p_room: what the account below may hold of its
-- money; NULL: there is no limit. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE judge_account(
  IN p_account_id BIGINT UNSIGNED,
  IN p_now DATETIME,
  IN p_smallest DECIMAL(18,6),
  IN p_room DECIMAL(18,6),
  OUT p_outcome VARCHAR(32)
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  SELECT CASE
           WHEN account.status <> 'active' THEN 'account_suspended'
           WHEN account.expires_at <= p_now THEN 'account_expired'
           WHEN purse.balance + purse.credit_limit - purse.held < p_smallest THEN 'insufficient_balance'
           WHEN p_room < p_smallest THEN 'parent_hold_limit'
           WHEN GREATEST(0, account.daily_spend_limit - purse.held
                            - IF(purse.spend_day = DATE(p_now), purse.spent, 0)) < p_smallest THEN 'spending_limit'
         END
    INTO p_outcome
    FROM account JOIN purse ON purse.account_id = account.id
   WHERE account.id = p_account_id;
END
