-- Says which account of the JSON array p_accounts is unknown or stands in it twice. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE refuse_accounts(IN p_accounts LONGTEXT)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_unknown VARCHAR(40);

  SELECT COALESCE(LEFT(given.account, 40), 'NULL') INTO v_unknown
    FROM JSON_TABLE(p_accounts, '$[*]' COLUMNS (
      number FOR ORDINALITY,
      account VARCHAR(40) PATH '$' NULL ON EMPTY NULL ON ERROR
    )) AS given
    LEFT JOIN purse ON purse.account_id = given.account
   WHERE purse.account_id IS NULL
   ORDER BY given.number
   LIMIT 1;

  IF v_unknown IS NOT NULL THEN
    CALL refuse(CONCAT('unknown_account: there is no account ', v_unknown));
  END IF;
  CALL refuse(CONCAT('invalid_content: an account stands twice in the chain ', LEFT(p_accounts, 200)));
END
