-- The next CDRs of the export after position p_after (0: from the beginning), at most p_max: position, version,
-- archived, the CDR's columns with names, and its legs as JSON. p_since: only those that were settled since then.
-- No row: there is nothing new. The last row's position is where to go on.
--
-- Neither settled_at nor a ULID is the order in which CDRs are committed, so a reader who remembers one of those skips
-- what commits late. Here a CDR gets its position after its commit: first this publishes what is there by now, then
-- it reads. A CDR that changes (the truth about a provisional one, a new price) comes again, with the next version.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE export_cdrs(
  IN p_after BIGINT UNSIGNED,
  IN p_since DATETIME(6),
  IN p_max INT UNSIGNED
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_max INT UNSIGNED DEFAULT LEAST(COALESCE(p_max, 1000), 1000);
  DECLARE v_after BIGINT UNSIGNED DEFAULT COALESCE(p_after, 0);
  DECLARE v_last BIGINT UNSIGNED;
  DECLARE v_keys LONGTEXT;

  CALL refuse_in_transaction('export_cdrs');
  SELECT position INTO v_last FROM export_position WHERE id = 1;
  IF v_after > v_last THEN
    CALL refuse(CONCAT('unknown_position: position ', v_after, ' was never given out here; the last one was ', v_last,
                       ': is this another ledger, or an older backup of it?'));
  END IF;

  -- By index, oldest keys first. Of those alone that are asked for: a batch that is all older would be answered with no
  -- row, which means that there is nothing.
  SELECT JSON_ARRAYAGG(call_key) INTO v_keys
    FROM (SELECT call_key
            FROM cdr FORCE INDEX (cdr_position)
           WHERE position = 0 AND (p_since IS NULL OR settled_at >= p_since)
           ORDER BY call_key
           LIMIT v_max) AS fresh;
  IF v_keys IS NOT NULL THEN
    BEGIN
      DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
      BEGIN
        ROLLBACK;
        RESIGNAL;
      END;
      SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
      START TRANSACTION READ WRITE;
      CALL publish_keys(v_keys);
      COMMIT;
    END;
  END IF;

  -- One statement, so one snapshot: a CDR and its legs are of one moment, and none that is being archived is missed.
  SELECT calls.position, calls.version, calls.archived, calls.call_key, calls.node,
         calls.account_id, account.name AS account_name, calls.user_id, user.name AS user_name,
         calls.caller, calls.callee, calls.dialled, calls.source, calls.sip_call_id,
         calls.carrier_id, carrier.name AS carrier_name,
         calls.rated_at, calls.opened_at, calls.answered_at, calls.ended_at, calls.settled_at,
         calls.grant_s, calls.talked_ms, calls.billed_s, calls.result, calls.detail, calls.end_reason, calls.sip_code,
         calls.provisional, calls.shown, calls.carrier_cost, calls.carrier_currency,
         COALESCE(IF(calls.archived,
            (SELECT JSON_ARRAYAGG(JSON_OBJECT(
                      'leg', legs.leg, 'account_name', payer.name, 'currency', payer.currency,
                      'destination', legs.destination, 'charge', CONCAT(COALESCE(legs.corrected_charge, legs.charge)),
                      'bundle_s', legs.bundle_s) ORDER BY legs.leg)
               FROM cdr_leg_archive AS legs STRAIGHT_JOIN account AS payer ON payer.id = legs.account_id
              WHERE legs.call_key = calls.call_key),
            (SELECT JSON_ARRAYAGG(JSON_OBJECT(
                      'leg', legs.leg, 'account_name', payer.name, 'currency', payer.currency,
                      'destination', legs.destination, 'charge', CONCAT(COALESCE(legs.corrected_charge, legs.charge)),
                      'bundle_s', legs.bundle_s) ORDER BY legs.leg)
               FROM cdr_leg AS legs STRAIGHT_JOIN account AS payer ON payer.id = legs.account_id
              WHERE legs.call_key = calls.call_key)), '[]') AS legs
    FROM (
      (SELECT cdr.*, FALSE AS archived
         FROM cdr FORCE INDEX (cdr_position)
        WHERE position > v_after AND (p_since IS NULL OR settled_at >= p_since)
        ORDER BY position LIMIT v_max)
      UNION ALL
      (SELECT cdr_archive.*, TRUE AS archived
         FROM cdr_archive FORCE INDEX (cdr_position)
        WHERE position > v_after AND (p_since IS NULL OR settled_at >= p_since)
        ORDER BY position LIMIT v_max)
    ) AS calls
    LEFT JOIN account ON account.id = calls.account_id
    LEFT JOIN user ON user.id = calls.user_id
    LEFT JOIN carrier ON carrier.id = calls.carrier_id
   ORDER BY calls.position
   LIMIT v_max;
END
