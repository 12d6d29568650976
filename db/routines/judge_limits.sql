-- What the limits by day and hour say of a call that open_call would let pass otherwise: NULL, or the first of them
-- that is reached, leg 0 first. p_near: the call may bring one to 80 %. A statement of its own, so that accounts without
-- such limits do not pay for it. The purses are locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE judge_limits(
  IN p_content LONGTEXT,
  OUT p_outcome VARCHAR(32),
  OUT p_failed_leg TINYINT UNSIGNED,
  OUT p_near BOOLEAN
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);
  DECLARE v_first VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_hour DATETIME DEFAULT DATE_FORMAT(v_now, '%Y-%m-%d %H:00:00');

  WITH judged AS (
    SELECT given.leg - 1 AS leg,
           COALESCE(COALESCE(all_calls.calls, 0) + 1 >= account.max_calls_per_hour * 0.8, FALSE)
             OR COALESCE(COALESCE(calls_there.calls, 0) + 1 >= account.max_calls_per_hour_per_destination * 0.8, FALSE)
             OR COALESCE(IF(purse.spend_day = DATE(v_now), purse.spent, 0) + purse.held + given.most
                         >= account.daily_spend_limit * 0.8, FALSE) AS near,
           CASE
             WHEN COALESCE(all_calls.calls, 0) >= account.max_calls_per_hour THEN 'hourly_limit'
             WHEN COALESCE(calls_there.calls, 0) >= account.max_calls_per_hour_per_destination
                  THEN 'hourly_destination_limit'
             WHEN GREATEST(given.smallest, given.least) > 0
                  AND IF(purse.spend_day = DATE(v_now), purse.spent, 0) + purse.held
                    + GREATEST(given.smallest, given.least) > account.daily_spend_limit THEN 'spending_limit'
           END AS refusal
      FROM JSON_TABLE(p_content, '$.legs[*]' COLUMNS (
             leg FOR ORDINALITY,
             account_id BIGINT UNSIGNED PATH '$.account',
             destination VARCHAR(64) PATH '$.destination',
             smallest DECIMAL(18,6) PATH '$.smallest',
             least DECIMAL(18,6) PATH '$.holds[last]',
             most DECIMAL(18,6) PATH '$.holds[0]'
           )) AS given
      STRAIGHT_JOIN account ON account.id = given.account_id
      STRAIGHT_JOIN purse ON purse.account_id = given.account_id
      LEFT JOIN call_count AS all_calls ON all_calls.account_id = given.account_id AND all_calls.destination = ''
       AND all_calls.hour = v_hour
      LEFT JOIN call_count AS calls_there ON calls_there.account_id = given.account_id
       AND calls_there.destination = given.destination COLLATE utf8mb4_general_ci AND given.destination <> ''
       AND calls_there.hour = v_hour
  )
  SELECT MIN(CONCAT(leg, refusal)), MAX(near) INTO v_first, p_near FROM judged; -- a chain's leg is one digit
  SET p_failed_leg = LEFT(v_first, 1);
  SET p_outcome = SUBSTRING(v_first, 2);
END
