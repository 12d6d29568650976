-- The most seconds that cost no more than p_most, in last decimals of the tariff; 2147483647: any number. The charge of s
-- seconds is rounded once: (fee + price * whole increments) / unit. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE longest_talk(
  IN p_rounding VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_unit DECIMAL(40,0),
  IN p_fee DECIMAL(40,0),
  IN p_price DECIMAL(30,0),
  IN p_initial_s BIGINT,
  IN p_increment_s BIGINT,
  IN p_free_s BIGINT,
  IN p_most DECIMAL(30,0),
  OUT p_seconds INT
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  DECLARE v_room DECIMAL(65,0);
  DECLARE v_talk DECIMAL(65,0);

  -- the largest sum that is rounded to p_most or less
  SET v_room = CASE p_rounding WHEN 'up' THEN p_most * p_unit
                               WHEN 'down' THEN (p_most + 1) * p_unit - 1
                               ELSE (((2 * p_most + 1) * p_unit - 1) - MOD((2 * p_most + 1) * p_unit - 1, 2)) / 2 END;
  SET v_room = v_room - p_fee;
  IF v_room < 0 THEN
    SET v_talk = 0;
  ELSEIF p_price = 0 THEN
    SET v_talk = 2147483647;
  ELSE
    SET v_talk = (v_room - MOD(v_room, p_price)) / p_price;
    SET v_talk = IF(v_talk < p_initial_s, 0,
                    v_talk - MOD(v_talk - p_initial_s, p_increment_s));
  END IF;
  SET p_seconds = LEAST(2147483647, GREATEST(v_talk, p_free_s));
END
