-- The statement of an account, by its name, from p_from up to but without p_to (UTC): a line 'opening', a line for each
-- entry with the balance after it, in the order of their times, and a line 'closing'. An entry of a call says which
-- number was called, what it is in the account's tariff, and how long. opening + the entries = closing, always: it is
-- one statement, so one snapshot, and it makes no difference what of it is archived.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE account_statement(
  IN p_account VARCHAR(64),
  IN p_from DATETIME(6),
  IN p_to DATETIME(6)
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;

  CALL refuse_in_transaction('account_statement');
  SELECT id INTO v_account FROM account WHERE name = p_account;
  IF v_account IS NULL THEN
    CALL refuse(CONCAT('unknown_account: there is no account ', COALESCE(JSON_QUOTE(p_account), 'NULL')));
  END IF;
  IF p_from IS NULL OR p_to IS NULL OR p_from > p_to THEN
    CALL refuse(CONCAT('invalid_content: a statement from ', COALESCE(p_from, 'NULL'), ' to ', COALESCE(p_to, 'NULL'),
                       ' has no period'));
  END IF;

  WITH archived AS (
    SELECT COALESCE(SUM(balance), 0) AS balance FROM balance_checkpoint WHERE account_id = v_account
  ), opening AS (
    SELECT (SELECT balance FROM archived)
           - COALESCE((SELECT SUM(amount) FROM entry_archive WHERE account_id = v_account AND created_at >= p_from), 0)
           + COALESCE((SELECT SUM(amount) FROM entry WHERE account_id = v_account AND created_at < p_from), 0) AS balance
  ), closing AS (
    SELECT (SELECT balance FROM archived)
           - COALESCE((SELECT SUM(amount) FROM entry_archive WHERE account_id = v_account AND created_at >= p_to), 0)
           + COALESCE((SELECT SUM(amount) FROM entry WHERE account_id = v_account AND created_at < p_to), 0) AS balance
  ), posted AS (
    SELECT entry.entry_key, entry.kind, entry.amount, entry.reason, entry.reference, entry.created_at,
           cdr.call_key, leg.destination, cdr.callee, cdr.billed_s
      FROM entry
      LEFT JOIN cdr ON cdr.call_key = entry.entry_key
      LEFT JOIN cdr_leg AS leg ON leg.call_key = entry.entry_key AND leg.account_id = entry.account_id
     WHERE entry.account_id = v_account AND entry.created_at >= p_from AND entry.created_at < p_to
    UNION ALL
    SELECT entry.entry_key, entry.kind, entry.amount, entry.reason, entry.reference, entry.created_at,
           cdr.call_key, leg.destination, cdr.callee, cdr.billed_s
      FROM entry_archive AS entry
      LEFT JOIN cdr_archive AS cdr ON cdr.call_key = entry.entry_key
      LEFT JOIN cdr_leg_archive AS leg ON leg.call_key = entry.entry_key AND leg.account_id = entry.account_id
     WHERE entry.account_id = v_account AND entry.created_at >= p_from AND entry.created_at < p_to
  ), running AS (
    SELECT posted.*, SUM(amount) OVER (ORDER BY created_at, entry_key, kind) AS so_far FROM posted
  )
  SELECT 'opening' AS line, p_from AS at, NULL AS kind, NULL AS entry_key, NULL AS call_key, NULL AS destination,
         NULL AS number, CAST(NULL AS SIGNED) AS seconds, NULL AS amount, balance, NULL AS reason, NULL AS reference
    FROM opening
  UNION ALL
  SELECT 'entry', created_at, kind, entry_key, call_key, destination, callee, CAST(billed_s AS SIGNED), amount,
         so_far + (SELECT balance FROM opening), reason, reference
    FROM running
  UNION ALL
  SELECT 'closing', p_to, NULL, NULL, NULL, NULL, NULL, CAST(NULL AS SIGNED), NULL, balance, NULL, NULL
    FROM closing
   ORDER BY line = 'closing', line <> 'opening', at, entry_key, kind;
END
