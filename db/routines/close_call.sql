-- Moves a live call with its legs to the CDRs, releases its holds and posts its charges, p_charges as in settle_call;
-- NULL: the whole holds, provisionally, because nobody knows how the call ended. p_carrier_cost: what its carrier
-- charges for it, if that is known. Purses and call are locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE close_call(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_talked_ms BIGINT UNSIGNED,
  IN p_billed_s INT UNSIGNED,
  IN p_result VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_detail VARCHAR(255),
  IN p_end_reason VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_sip_code SMALLINT UNSIGNED,
  IN p_carrier_id BIGINT UNSIGNED,
  IN p_ended_at DATETIME(6),
  IN p_charges LONGTEXT,
  IN p_carrier_cost DECIMAL(18,6)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);
  DECLARE v_new BOOLEAN;
  DECLARE v_bundled BOOLEAN;

  SELECT MAX(purse.spend_day <> DATE(v_now) OR purse.unused), MAX(live_leg.covered_s > 0) INTO v_new, v_bundled
    FROM live_leg STRAIGHT_JOIN purse ON purse.account_id = live_leg.account_id
   WHERE live_leg.call_key = p_key;
  -- Before there are entries of this call, which are counted below.
  IF v_new THEN
    CALL start_spend_day(p_key, DATE(v_now));
    -- What the reaper ends is marked by reap_call.
    IF p_talked_ms > 0 AND p_charges IS NOT NULL THEN
      CALL mark_first_use(p_key, (SELECT account_id FROM live_call WHERE call_key = p_key),
                          p_ended_at - INTERVAL p_talked_ms * 1000 MICROSECOND);
    END IF;
  END IF;

  INSERT INTO cdr (
    call_key, node, account_id, user_id, caller, callee, dialled, source, sip_call_id, carrier_id, rated_at,
    opened_at, answered_at, ended_at, grant_s, talked_ms, billed_s, result, detail, end_reason, sip_code,
    provisional, settled_at, shown, carrier_tariff_id, carrier_currency, carrier_rate, carrier_cost, routes
  )
  SELECT call_key, node, account_id, user_id, caller, callee, dialled, source, sip_call_id,
         COALESCE(p_carrier_id, carrier_id), rated_at, opened_at,
         -- What the reaper ends without having heard of an answer stays unanswered: its node may know better.
         COALESCE(answered_at, IF(p_talked_ms > 0 AND p_charges IS NOT NULL,
                                  p_ended_at - INTERVAL p_talked_ms * 1000 MICROSECOND, NULL)),
         p_ended_at, grant_s, p_talked_ms, p_billed_s, p_result, p_detail, p_end_reason, p_sip_code,
         p_charges IS NULL, v_now, shown,
         JSON_VALUE(routes, CONCAT('$."', COALESCE(p_carrier_id, carrier_id), '".tariff')),
         JSON_VALUE(routes, CONCAT('$."', COALESCE(p_carrier_id, carrier_id), '".currency')),
         JSON_VALUE(routes, CONCAT('$."', COALESCE(p_carrier_id, carrier_id), '".rate')),
         p_carrier_cost, IF(p_charges IS NULL, routes, NULL)
    FROM live_call
   WHERE call_key = p_key;

  INSERT INTO cdr_leg (
    call_key, leg, account_id, tariff_id, rate_id, destination, rate, hold, charge, balance_after, bundle_s
  )
  SELECT live_leg.call_key, live_leg.leg, live_leg.account_id, live_leg.tariff_id, live_leg.rate_id,
         live_leg.destination, live_leg.rate, live_leg.hold,
         IF(p_charges IS NULL, live_leg.hold, given.charge),
         purse.balance - IF(p_charges IS NULL, live_leg.hold, given.charge),
         IF(p_charges IS NULL, live_leg.covered_s, COALESCE(given.bundle_s, 0))
    FROM live_leg
    STRAIGHT_JOIN purse ON purse.account_id = live_leg.account_id
    LEFT JOIN JSON_TABLE(COALESCE(p_charges, '[]'), '$[*]' COLUMNS (
      leg TINYINT UNSIGNED PATH '$.leg',
      charge DECIMAL(18,6) PATH '$.charge',
      bundle_s INT UNSIGNED PATH '$.bundle_s'
    )) AS given ON given.leg = live_leg.leg
   WHERE live_leg.call_key = p_key;

  INSERT INTO entry (
    entry_key, account_id, kind, amount, balance_after, available_after, actor, login, created_at
  )
  SELECT cdr_leg.call_key, cdr_leg.account_id, 'call', -cdr_leg.charge, cdr_leg.balance_after,
         purse.balance + purse.credit_limit - purse.held + cdr_leg.hold - cdr_leg.charge, cdr.node, USER(), v_now
    FROM cdr
    STRAIGHT_JOIN cdr_leg ON cdr_leg.call_key = cdr.call_key
    STRAIGHT_JOIN purse ON purse.account_id = cdr_leg.account_id
   WHERE cdr.call_key = p_key AND cdr_leg.charge > 0;

  UPDATE cdr_leg STRAIGHT_JOIN purse FORCE INDEX (PRIMARY) ON purse.account_id = cdr_leg.account_id
     SET purse.balance = purse.balance - cdr_leg.charge,
         purse.spent = purse.spent + cdr_leg.charge,
         purse.held = purse.held - cdr_leg.hold,
         purse.calls = purse.calls - 1
   WHERE cdr_leg.call_key = p_key;

  IF v_bundled THEN
    CALL settle_bundles(p_key);
  END IF;
  DELETE FROM live_leg WHERE call_key = p_key;
  DELETE FROM live_call WHERE call_key = p_key;
END
