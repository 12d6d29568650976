-- Refuses fewer decimals for a tariff than a max_cost of its rates has: it could not be charged, and every call to its
-- prefix would be refused. NULL: they stay. The tariff is locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_max_costs(
  IN p_tariff VARCHAR(64),
  IN p_tariff_id BIGINT UNSIGNED,
  IN p_decimals TINYINT UNSIGNED
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_prefix VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin;

  SELECT prefix INTO v_prefix
    FROM rate
   WHERE tariff_id = p_tariff_id AND max_cost <> ROUND(max_cost, p_decimals)
   LIMIT 1;
  IF v_prefix IS NOT NULL THEN
    CALL refuse(CONCAT('invalid_content: tariff ', p_tariff, ' cannot have ', p_decimals,
                       ' decimals: max_cost of prefix ', v_prefix, ' has more'));
  END IF;
END
