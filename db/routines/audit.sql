-- Works out every balance, hold and counter again and answers what differs: what, id (an account's or a call's),
-- expected, actual. No row is the only good answer. One snapshot for all of it, and covering indexes for what grows
-- without end, so that ten million entries take seconds. Each check is a view, db/views/audit_*.sql.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE audit()
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_suspects LONGTEXT;

  CALL refuse_in_transaction('audit');
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
    START TRANSACTION WITH CONSISTENT SNAPSHOT;

    -- Two steps, because a join of every charge with its entry takes minutes: the account, and only then its calls.
    SELECT COALESCE(JSON_ARRAYAGG(account_id), '[]') INTO v_suspects FROM audit_charge;

    -- The collation is named because MariaDB 11 gives a cast another one than the columns have.
    SELECT what, CAST(id AS CHAR(64) CHARACTER SET ascii) COLLATE ascii_bin AS id, expected, actual FROM audit_balance
    UNION ALL SELECT what, id, expected, actual FROM audit_hold
    UNION ALL SELECT what, id, expected, actual FROM audit_available
    UNION ALL SELECT what, id, expected, actual FROM audit_purse
    UNION ALL SELECT what, id, expected, actual FROM audit_live
    UNION ALL SELECT what, id, expected, actual FROM audit_spent
    UNION ALL SELECT what, id, expected, actual FROM audit_card
    UNION ALL SELECT what, id, expected, actual FROM audit_bundle
    UNION ALL SELECT what, id, expected, actual FROM audit_corrected
    UNION ALL
    SELECT 'charge', call_key, SUM(charged), SUM(posted)
      FROM (
        SELECT call_key, account_id, COALESCE(corrected_charge, charge) AS charged, 0 AS posted
          FROM JSON_TABLE(v_suspects, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS suspect
          STRAIGHT_JOIN cdr_leg ON cdr_leg.account_id = suspect.id
        UNION ALL
        SELECT IF(entry.kind = 'correction', CAST(entry.reference AS CHAR(26) CHARACTER SET ascii) COLLATE ascii_bin,
                  entry.entry_key),
               account_id, 0, -amount
          FROM JSON_TABLE(v_suspects, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS suspect
          STRAIGHT_JOIN entry ON entry.account_id = suspect.id AND entry.kind IN ('call', 'call_refund', 'correction')
      ) AS sides
     GROUP BY call_key, account_id
    HAVING SUM(charged) <> SUM(posted)
     ORDER BY 1, 2;
    COMMIT;
  END;
END
