-- The legs of open_call's answer as JSON, gathered under the locks and shown after COMMIT: what is held, or what each
-- account had available when the call was refused. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE open_answer(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_content LONGTEXT,
  OUT p_legs LONGTEXT
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  SELECT JSON_ARRAYAGG(JSON_OBJECT(
           'leg', leg, 'account_id', account_id, 'hold', hold, 'available', available_before))
    INTO p_legs
    FROM live_leg
   WHERE call_key = p_key;

  IF p_legs IS NULL THEN
    SELECT JSON_ARRAYAGG(JSON_OBJECT(
             'leg', content.leg - 1, 'account_id', purse.account_id, 'hold', NULL,
             'available', purse.balance + purse.credit_limit - purse.held))
      INTO p_legs
      FROM JSON_TABLE(p_content, '$.legs[*]' COLUMNS (
        leg FOR ORDINALITY,
        account_id BIGINT UNSIGNED PATH '$.account'
      )) AS content
      STRAIGHT_JOIN purse ON purse.account_id = content.account_id;
  END IF;
END
