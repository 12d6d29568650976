-- How the calls of tariff p_tariff are routed: whether a carrier may cost more than the call does (p_loss_allowed), and
-- the order of carriers, 'cost', 'priority' or 'weight' (p_carrier_order; NULL: as set elsewhere). It counts for the
-- vendor's own accounts: the last of a chain. Acts on the next call.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE set_tariff_routing(
  IN p_tariff VARCHAR(64),
  IN p_loss_allowed BOOLEAN,
  IN p_carrier_order VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('set_tariff_routing');
  IF p_loss_allowed IS NULL OR NOT COALESCE(p_carrier_order IN ('cost', 'priority', 'weight'), TRUE) THEN
    CALL refuse(CONCAT('invalid_content: routing of tariff ', COALESCE(p_tariff, 'NULL'),
                       ' needs TRUE or FALSE, and cost, priority, weight or NULL'));
  END IF;
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    SELECT id INTO v_id FROM tariff WHERE name = p_tariff FOR UPDATE;
    IF v_id IS NULL THEN
      CALL refuse(CONCAT('unknown_tariff: there is no tariff ', COALESCE(p_tariff, 'NULL')));
    END IF;
    UPDATE tariff SET loss_allowed = p_loss_allowed, carrier_order = p_carrier_order WHERE id = v_id;
    COMMIT;
  END;
  SELECT v_id AS id;
END
