-- The truth about a call that the reaper had charged at its whole grant: completes the CDR and gives the difference
-- back. Purses and CDR are locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE settle_provisional(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_content LONGTEXT,
  IN p_now DATETIME(6)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_legs LONGTEXT;
  DECLARE v_bundled BOOLEAN;
  DECLARE v_unused BIGINT UNSIGNED;
  DECLARE v_used_at DATETIME(6);
  DECLARE v_talked_ms BIGINT UNSIGNED DEFAULT JSON_VALUE(p_content, '$.talked_ms');

  SELECT JSON_ARRAYAGG(JSON_OBJECT('leg', leg, 'most', charge, 'covered', bundle_s)), MAX(bundle_s > 0)
    INTO v_legs, v_bundled
    FROM cdr_leg
   WHERE call_key = p_key;
  CALL check_charges(p_key, p_content, v_legs);

  INSERT INTO entry (
    entry_key, account_id, kind, amount, balance_after, available_after, actor, login, created_at
  )
  SELECT p_key, cdr_leg.account_id, 'call_refund', cdr_leg.charge - given.charge,
         purse.balance + cdr_leg.charge - given.charge,
         purse.balance + purse.credit_limit - purse.held + cdr_leg.charge - given.charge, cdr.node, USER(), p_now
    FROM JSON_TABLE(p_content, '$.legs[*]' COLUMNS (
           leg TINYINT UNSIGNED PATH '$.leg',
           charge DECIMAL(18,6) PATH '$.charge'
         )) AS given
    STRAIGHT_JOIN cdr ON cdr.call_key = p_key
    STRAIGHT_JOIN cdr_leg ON cdr_leg.call_key = p_key AND cdr_leg.leg = given.leg
    STRAIGHT_JOIN purse ON purse.account_id = cdr_leg.account_id
   WHERE given.charge < cdr_leg.charge;

  -- What comes back of another day's charge does not make room in this day's spending.
  UPDATE entry AS refund
         STRAIGHT_JOIN entry AS charged ON charged.entry_key = refund.entry_key
                                       AND charged.account_id = refund.account_id AND charged.kind = 'call'
         STRAIGHT_JOIN purse FORCE INDEX (PRIMARY) ON purse.account_id = refund.account_id
     SET purse.balance = refund.balance_after,
         purse.spent = purse.spent - IF(DATE(charged.created_at) = purse.spend_day, refund.amount, 0)
   WHERE refund.entry_key = p_key AND refund.kind = 'call_refund';

  UPDATE JSON_TABLE(p_content, '$.legs[*]' COLUMNS (
           leg TINYINT UNSIGNED PATH '$.leg',
           charge DECIMAL(18,6) PATH '$.charge',
           bundle_s INT UNSIGNED PATH '$.bundle_s'
         )) AS given
         STRAIGHT_JOIN cdr_leg FORCE INDEX (PRIMARY) ON cdr_leg.call_key = p_key AND cdr_leg.leg = given.leg
         STRAIGHT_JOIN purse FORCE INDEX (PRIMARY) ON purse.account_id = cdr_leg.account_id
     SET cdr_leg.charge = given.charge,
         cdr_leg.bundle_s = COALESCE(given.bundle_s, 0),
         cdr_leg.balance_after = purse.balance;
  IF v_bundled THEN
    CALL refund_bundles(p_key);
  END IF;

  CALL forget_first_use(p_key, v_unused);

  UPDATE cdr
     SET ended_at = p_now - INTERVAL JSON_VALUE(p_content, '$.ended_ago_ms') * 1000 MICROSECOND,
         answered_at = IF(v_talked_ms > 0, ended_at - INTERVAL v_talked_ms * 1000 MICROSECOND, NULL),
         talked_ms = v_talked_ms,
         billed_s = JSON_VALUE(p_content, '$.billed_s'),
         result = JSON_VALUE(p_content, '$.result'),
         detail = LEFT(COALESCE(JSON_VALUE(p_content, '$.detail'), ''), 255),
         end_reason = COALESCE(JSON_VALUE(p_content, '$.end_reason'), ''),
         sip_code = JSON_VALUE(p_content, '$.sip_code'),
         carrier_id = COALESCE(JSON_VALUE(p_content, '$.carrier'), carrier_id),
         carrier_tariff_id = JSON_VALUE(routes, CONCAT('$."', carrier_id, '".tariff')),
         carrier_currency = JSON_VALUE(routes, CONCAT('$."', carrier_id, '".currency')),
         carrier_rate = JSON_VALUE(routes, CONCAT('$."', carrier_id, '".rate')),
         carrier_cost = JSON_VALUE(p_content, '$.carrier_cost'),
         routes = NULL,
         provisional = FALSE,
         position = 0, -- so that the export publishes it again
         settled_at = p_now
   WHERE call_key = p_key;

  IF v_unused IS NOT NULL THEN
    -- Another call may have been a use meanwhile.
    SELECT MIN(used_at) INTO v_used_at
      FROM (SELECT COALESCE(answered_at, IF(provisional, ended_at - INTERVAL grant_s SECOND, NULL)) AS used_at
              FROM cdr WHERE account_id = v_unused
            UNION ALL
            SELECT answered_at FROM live_call WHERE account_id = v_unused) AS uses;
  ELSEIF v_talked_ms > 0 THEN
    SET v_used_at = (SELECT answered_at FROM cdr WHERE call_key = p_key);
  END IF;
  IF v_used_at IS NOT NULL THEN
    CALL mark_first_use(p_key, (SELECT account_id FROM cdr WHERE call_key = p_key), v_used_at);
  END IF;
END
