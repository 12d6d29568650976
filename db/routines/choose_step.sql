-- The number (p_from..) of the highest step of open_call that every leg can pay, within its day's spending limit if it
-- has one. The purses are locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE choose_step(
  IN p_content LONGTEXT,
  IN p_from INT,
  OUT p_step INT
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  SELECT payable.step INTO p_step
    FROM (
      SELECT content.step
        FROM JSON_TABLE(p_content, '$.legs[*]' COLUMNS (
          account_id BIGINT UNSIGNED PATH '$.account',
          NESTED PATH '$.holds[*]' COLUMNS (step FOR ORDINALITY, hold DECIMAL(18,6) PATH '$')
        )) AS content
        STRAIGHT_JOIN purse ON purse.account_id = content.account_id
        STRAIGHT_JOIN account ON account.id = content.account_id
       GROUP BY content.step
      HAVING COUNT(*) = JSON_LENGTH(p_content, '$.legs')
         AND MAX(content.hold - (purse.balance + purse.credit_limit - purse.held)) <= 0
         AND COALESCE(MAX(content.hold - GREATEST(0, account.daily_spend_limit - purse.held
                              - IF(purse.spend_day = UTC_DATE(), purse.spent, 0))), 0) <= 0
    ) AS payable
   WHERE payable.step >= p_from
   ORDER BY payable.step
   LIMIT 1;

  IF p_step IS NULL THEN -- each leg can pay its last hold, and yet there is no step for all
    CALL refuse('invalid_content: the holds of open_call do not go with its steps');
  END IF;
END
