-- What the carrier asks for a call that the reaper charged provisionally, for the whole grant; SQL cannot work it out.
-- Once: a cost that is known stays. Answers costed, 1 or 0.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE set_carrier_cost(
  IN p_call_key LONGTEXT,
  IN p_cost LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_cost DECIMAL(18,6);
  DECLARE v_costed INT;

  CALL refuse_in_transaction('set_carrier_cost');
  CALL check_key('set_carrier_cost', p_call_key, v_key);
  CALL check_amount(CONCAT('carrier cost of ', v_key), p_cost, v_cost);
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    UPDATE cdr
       SET carrier_cost = v_cost,
           position = 0 -- so that the export publishes it again
     WHERE call_key = v_key AND provisional AND carrier_rate IS NOT NULL AND carrier_cost IS NULL;
    SET v_costed = ROW_COUNT();
    COMMIT;
  END;
  SELECT v_costed AS costed;
END
