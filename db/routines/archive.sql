-- Retention: moves CDRs, with their legs and entries, and then all other entries, that are older than p_before into
-- the archive's tables, at most p_max of them, and adds the entries to their accounts' checkpoints. One transaction;
-- call it again until it answers done = 1. Nobody waits for it but what touches one of these calls: it locks no
-- purse. A call that is charged provisionally waits for the truth, and stays;
-- so does one that was corrected since.
--
-- A right of its own definer: he alone may take a row out of `entry`, and this is the only thing that he owns.
-- Answers one row: calls, entries, done.
CREATE OR REPLACE DEFINER = meterline_archivist@localhost PROCEDURE archive(
  IN p_before DATETIME(6),
  IN p_max INT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_max INT UNSIGNED DEFAULT LEAST(COALESCE(p_max, 500), 5000);
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_to_account BIGINT UNSIGNED;
  DECLARE v_moving LONGTEXT;
  DECLARE v_calls INT DEFAULT 0;
  DECLARE v_entries INT DEFAULT 0;
  DECLARE v_done BOOLEAN DEFAULT FALSE;

  CALL refuse_in_transaction('archive');
  CALL check_archive_before(p_before);
  -- The entries of a whole batch in one list: 5000 calls of 8 legs, each with a refund, are 6 MB.
  SET SESSION group_concat_max_len = 16777216;
  IF v_max = 0 THEN
    CALL refuse('invalid_content: archive is to move 0 at a time');
  END IF;

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;

    -- One at a time, and before anything is moved everybody can see that the period is closed.
    SELECT account_id INTO v_account FROM retention WHERE id = 1 FOR UPDATE;
    IF EXISTS (SELECT 1 FROM retention WHERE archived_before < p_before) THEN
      SET v_account = 0;
      UPDATE retention SET archived_before = p_before, account_id = 0 WHERE id = 1;
    END IF;

    SELECT JSON_ARRAYAGG(call_key) INTO v_moving
      FROM (SELECT call_key
              FROM cdr FORCE INDEX (cdr_ended)
             WHERE ended_at < p_before AND settled_at < p_before AND NOT provisional
               AND NOT EXISTS (SELECT 1 FROM correction
                                WHERE correction.call_key = cdr.call_key AND correction.created_at >= p_before)
             ORDER BY ended_at
             LIMIT v_max) AS due;
    IF v_moving IS NOT NULL THEN
      CALL archive_calls(v_moving, p_before, v_calls, v_entries);
    ELSE
      -- Entries that belong to no call are found account by account, a thousand accounts a time.
      SELECT MAX(account_id) INTO v_to_account
        FROM (SELECT account_id FROM purse WHERE account_id > v_account ORDER BY account_id LIMIT 1000) AS next;
      IF v_to_account IS NULL THEN
        SET v_done = TRUE, v_to_account = 0;
      ELSE
        CALL archive_entries(v_account, v_to_account, p_before, v_max, v_entries);
      END IF;
      IF v_entries < v_max THEN
        UPDATE retention SET account_id = v_to_account WHERE id = 1;
      END IF;
    END IF;
    COMMIT;
  END;
  SELECT v_calls AS calls, v_entries AS entries, v_done AS done;
END
