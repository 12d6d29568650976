-- Removes the rate of a prefix that is effective from p_effective_from (NULL: since ever), and raises the tariff's
-- version. Answers version. Calls in progress keep their rates.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE remove_rate(
  IN p_tariff_id BIGINT UNSIGNED,
  IN p_prefix VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_effective_from DATETIME(6)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_version BIGINT UNSIGNED;

  CALL refuse_in_transaction('remove_rate');
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL raise_tariff_version(p_tariff_id, v_version);
    DELETE FROM rate
     WHERE tariff_id = p_tariff_id AND prefix = p_prefix
       AND effective_from = COALESCE(p_effective_from, '1970-01-01 00:00:00');
    IF ROW_COUNT() = 0 THEN
      CALL refuse(CONCAT('unknown_rate: tariff ', p_tariff_id, ' has no rate of prefix ', COALESCE(p_prefix, 'NULL'),
                         ' from then'));
    END IF;
    COMMIT;
  END;
  SELECT v_version AS version;
END
