-- The seconds that every account of a chain can pay for: the least of them; and the first reason against the call, the
-- bars and the price on all levels first. p_number NULL: what was dialled is no number. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE quote_chain(
  IN p_account_id BIGINT UNSIGNED,
  IN p_number VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_now DATETIME,
  IN p_longest_s INT UNSIGNED,
  OUT p_outcome VARCHAR(32),
  OUT p_destination VARCHAR(64),
  OUT p_seconds INT
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED DEFAULT p_account_id;
  DECLARE v_leg INT DEFAULT 0;
  DECLARE v_rate BIGINT UNSIGNED;
  DECLARE v_destination VARCHAR(64);
  DECLARE v_no_rate VARCHAR(32);
  DECLARE v_refusal VARCHAR(32);
  DECLARE v_smallest DECIMAL(18,6);
  DECLARE v_leg_s INT;
  DECLARE v_is_plain BOOLEAN DEFAULT TRUE;
  DECLARE v_room DECIMAL(18,6);
  DECLARE v_is_barred BOOLEAN DEFAULT FALSE;

  SET p_outcome = NULL, p_seconds = p_longest_s;
  WHILE v_account IS NOT NULL AND v_leg < 8 AND NOT v_is_barred DO
    CALL judge_number(v_account, p_number, v_is_barred);
    SET v_account = (SELECT parent_id FROM account WHERE id = v_account), v_leg = v_leg + 1;
  END WHILE;
  SET v_no_rate = IF(v_is_barred, 'destination_barred', NULL), v_account = p_account_id, v_leg = 0;
  WHILE v_account IS NOT NULL AND v_leg < 8 AND v_no_rate IS NULL DO
    CALL find_rate(v_account, p_number, p_now, v_rate, v_destination, v_no_rate);
    IF v_leg = 0 THEN
      SET p_destination = v_destination;
    END IF;
    IF v_no_rate IS NULL THEN
      CALL quote_leg(v_account, v_rate, p_now, p_longest_s, v_room, v_smallest, v_leg_s);
      SET v_is_plain = v_is_plain AND v_leg_s IS NOT NULL, p_seconds = LEAST(p_seconds, COALESCE(v_leg_s, p_seconds));
      CALL judge_account(v_account, p_now, COALESCE(v_smallest, 0), v_room, v_refusal);
      SET p_outcome = COALESCE(p_outcome, IF(v_leg > 0 AND v_refusal IS NOT NULL, 'unavailable', v_refusal));
    END IF;
    SET v_room = (
      SELECT GREATEST(0, parent_hold_limit - COALESCE((
               SELECT SUM(above.hold)
                 FROM live_leg AS below
                 STRAIGHT_JOIN live_leg AS above ON above.call_key = below.call_key AND above.leg = below.leg + 1
                WHERE below.account_id = account.id), 0))
        FROM account
       WHERE id = v_account AND parent_hold_limit IS NOT NULL);
    SET v_account = (SELECT parent_id FROM account WHERE id = v_account), v_leg = v_leg + 1;
  END WHILE;
  SET p_outcome = COALESCE(v_no_rate, p_outcome);
  SET p_seconds = IF(p_outcome IS NOT NULL, 0, IF(v_is_plain, p_seconds, NULL));
END
