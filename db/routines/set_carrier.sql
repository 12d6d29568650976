-- Changes what p_settings names of a carrier, a JSON object: host, port, transport, priority, weight, tariff (a name, or
-- null), prefixes (a list of digits that replaces the former one), channels (null: any number), dial_prefix,
-- trusts_identity, probed. Answers id. Nodes take it up within about a second.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE set_carrier(
  IN p_carrier VARCHAR(64),
  IN p_settings LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('set_carrier');
  CALL check_carrier_settings(p_carrier, p_settings);
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_carrier(p_carrier, v_id);
    CALL change_carrier(v_id, p_carrier, p_settings);
    COMMIT;
  END;
  SELECT v_id AS id;
END
