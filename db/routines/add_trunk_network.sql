-- Calls from this network are the trunk's: CIDR text like 192.0.2.0/28 or 2001:db8::/64. Of several trunks the one with
-- the narrowest network that fits has the call; no two have the same.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE add_trunk_network(
  IN p_trunk VARCHAR(64),
  IN p_network TEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_other VARCHAR(64);
  DECLARE v_address VARCHAR(64) DEFAULT LEFT(SUBSTRING_INDEX(p_network, '/', 1), 64);
  DECLARE v_length VARCHAR(8) DEFAULT LEFT(SUBSTRING_INDEX(p_network, '/', -1), 8);

  CALL refuse_in_transaction('add_trunk_network');
  IF NOT COALESCE(p_network REGEXP '\\A[0-9a-fA-F.:]+/[0-9]{1,3}\\z' AND INET6_ATON(v_address) IS NOT NULL
                  AND v_length <= 8 * LENGTH(INET6_ATON(v_address)), FALSE) THEN
    CALL refuse(CONCAT('invalid_content: trunk ', COALESCE(p_trunk, 'NULL'), ': ',
                       COALESCE(LEFT(p_network, 60), 'NULL'), ' is no network like 192.0.2.0/28'));
  END IF;

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_trunk(p_trunk, v_id);
    SELECT MIN(trunk.name) INTO v_other
      FROM trunk_address JOIN trunk ON trunk.id = trunk_address.trunk_id
     WHERE trunk_address.network = CONVERT(p_network USING ascii) AND trunk.id <> v_id;
    IF v_other IS NOT NULL THEN
      CALL refuse(CONCAT('network_taken: network ', p_network, ' is that of trunk ', v_other));
    END IF;
    INSERT IGNORE INTO trunk_address (trunk_id, network) VALUES (v_id, p_network);
    COMMIT;
  END;
END
