-- Turns a call's holds into its charges and the live call into a CDR: once, on every leg, in one transaction.
--
-- p_content is JSON: grant_s (the grant that the charges were worked out under), talked_ms, billed_s, result, detail,
-- end_reason, sip_code, carrier, carrier_cost (text, what the carrier charges; null: not known), ended_ago_ms and legs
-- [{"leg":0,"charge":"0.12"}, ..], each leg of the call once, with bundle_s for one that holds seconds of minute
-- bundles: how many were used.
--
-- Answers a row a leg: outcome, grant_s, leg, account_id, charge, balance. 'settled'; 'already' with the first
-- result, though the call is archived; 'stale' if the grant is another by now: work it out again; 'refunded' if the reaper had charged the whole
-- grant (the difference went back, the CDR is complete); 'accepted' with the first result if somebody had made that charge
-- final (accept_cdr: nothing moves, v_accepted_call says what was told); 'unknown_call'.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE settle_call(
  IN p_call_key LONGTEXT,
  IN p_content LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  -- Taken before the wait for the locks: `ago` was counted when the call was made.
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_accounts LONGTEXT;
  DECLARE v_live_grant_s INT UNSIGNED;
  DECLARE v_cdr_grant_s INT UNSIGNED;
  DECLARE v_archived_grant_s INT UNSIGNED;
  DECLARE v_provisional BOOLEAN DEFAULT FALSE;
  DECLARE v_outcome VARCHAR(32);

  CALL refuse_in_transaction('settle_call');
  CALL check_key('settle_call', p_call_key, v_key);
  CALL check_settle_content(v_key, p_content);

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;

    -- Read before the locks, because it says what to lock: the accounts of a call never change. One statement, for a
    -- call that moves from live to CDR meanwhile is seen in one of the two.
    SELECT JSON_ARRAYAGG(account_id) INTO v_accounts
      FROM (SELECT account_id FROM live_leg WHERE call_key = v_key
            UNION
            SELECT account_id FROM cdr_leg WHERE call_key = v_key) AS chain;
    IF v_accounts IS NOT NULL THEN
      CALL lock_purses(v_accounts);
    END IF;
    SELECT grant_s INTO v_live_grant_s FROM live_call WHERE call_key = v_key FOR UPDATE;
    SELECT grant_s, provisional INTO v_cdr_grant_s, v_provisional FROM cdr WHERE call_key = v_key FOR UPDATE;

    IF v_live_grant_s IS NULL AND v_cdr_grant_s IS NULL THEN
      SELECT grant_s INTO v_archived_grant_s FROM cdr_archive WHERE call_key = v_key;
      SET v_outcome = IF(v_archived_grant_s IS NULL, 'unknown_call', 'already');
    ELSEIF v_live_grant_s IS NULL AND NOT v_provisional THEN
      CALL tell_accepted(v_key, p_content, v_now, v_outcome);
    ELSEIF NOT (JSON_VALUE(p_content, '$.grant_s') <=> COALESCE(v_live_grant_s, v_cdr_grant_s)) THEN
      SET v_outcome = 'stale';
    ELSEIF v_live_grant_s IS NOT NULL THEN
      CALL settle_live(v_key, p_content, v_now);
      SET v_outcome = 'settled';
    ELSE
      CALL settle_provisional(v_key, p_content, v_now);
      SET v_outcome = 'refunded';
    END IF;
    COMMIT;
  END;

  IF v_archived_grant_s IS NULL THEN
    SELECT v_outcome AS outcome, COALESCE(v_live_grant_s, v_cdr_grant_s) AS grant_s,
           cdr_leg.leg, cdr_leg.account_id, cdr_leg.charge, cdr_leg.balance_after AS balance
      FROM (SELECT 1) AS one LEFT JOIN cdr_leg ON cdr_leg.call_key = v_key
     ORDER BY cdr_leg.leg;
  ELSE
    SELECT v_outcome AS outcome, v_archived_grant_s AS grant_s, leg, account_id, charge, balance_after AS balance
      FROM cdr_leg_archive
     WHERE call_key = v_key
     ORDER BY leg;
  END IF;
END
