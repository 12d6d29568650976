-- Takes a network from a trunk.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE remove_trunk_network(
  IN p_trunk VARCHAR(64),
  IN p_network TEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('remove_trunk_network');

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_trunk(p_trunk, v_id);
    DELETE FROM trunk_address WHERE trunk_id = v_id AND network = CONVERT(p_network USING ascii);
    IF ROW_COUNT() = 0 THEN
      CALL refuse(CONCAT('unknown_network: trunk ', p_trunk, ' has no network ',
                         COALESCE(LEFT(p_network, 60), 'NULL')));
    END IF;
    COMMIT;
  END;
END
