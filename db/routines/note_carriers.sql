-- Which carriers a node finds there, and which not: p_states is JSON, [{"carrier": 1, "state": "up"}, ..], all that it
-- asks. The others of the node are forgotten.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE note_carriers(
  IN p_node VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_states LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  CALL refuse_in_transaction('note_carriers');
  IF p_states IS NULL OR NOT JSON_VALID(p_states) THEN
    CALL refuse(CONCAT('invalid_content: note_carriers of ', COALESCE(p_node, 'NULL'), ' was not given JSON'));
  END IF;
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    DELETE FROM carrier_state
     WHERE node = p_node
       AND carrier_id NOT IN (
             SELECT given.id
               FROM JSON_TABLE(p_states, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$.carrier')) AS given);
    INSERT INTO carrier_state (node, carrier_id, state, since)
    SELECT p_node, given.id, CONVERT(given.state USING ascii), UTC_TIMESTAMP(6)
      FROM JSON_TABLE(p_states, '$[*]' COLUMNS (
             id BIGINT UNSIGNED PATH '$.carrier',
             state TEXT PATH '$.state'
           )) AS given
    ON DUPLICATE KEY UPDATE
      since = IF(carrier_state.state = VALUES(state), carrier_state.since, VALUES(since)), state = VALUES(state);
    COMMIT;
  END;
END
