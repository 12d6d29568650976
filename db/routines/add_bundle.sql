-- A minute bundle to sell: so many seconds a 'day', 'week' or 'month' of the tariff's time zone, or 'once', to numbers
-- of these prefixes ("43,49,!49900": the longest that fits decides, ! excludes). p_owner is the name of the reseller
-- who sells it, NULL for the vendor. Of an account's bundles the one with the lowest p_priority is used first. Answers
-- id.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE add_bundle(
  IN p_name VARCHAR(64),
  IN p_owner VARCHAR(64),
  IN p_seconds BIGINT,
  IN p_period VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_prefixes LONGTEXT,
  IN p_priority INT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_owner BIGINT UNSIGNED;
  DECLARE v_id BIGINT UNSIGNED;

  CALL refuse_in_transaction('add_bundle');
  CALL check_bundle(p_name, p_seconds, p_period, p_prefixes);
  IF p_seconds IS NULL OR p_period IS NULL OR p_prefixes IS NULL THEN
    CALL refuse(CONCAT('invalid_content: bundle ', JSON_QUOTE(p_name), ' needs seconds, a period and prefixes'));
  END IF;
  BEGIN
    DECLARE EXIT HANDLER FOR 1062
    BEGIN
      ROLLBACK;
      CALL refuse(CONCAT('key_conflict: there is, or was, another bundle ', JSON_QUOTE(p_name)));
    END;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    IF p_owner IS NOT NULL THEN
      SELECT id INTO v_owner FROM account WHERE name = p_owner AND kind = 'reseller' AND status <> 'closed';
      IF v_owner IS NULL THEN
        CALL refuse(CONCAT('unknown_account: there is no open reseller ', JSON_QUOTE(p_owner)));
      END IF;
    END IF;
    INSERT INTO bundle (name, owner_account_id, seconds, period, priority)
    VALUES (p_name, v_owner, p_seconds, p_period, COALESCE(p_priority, 0));
    SET v_id = LAST_INSERT_ID();
    CALL put_bundle_prefixes(v_id, p_prefixes);
    COMMIT;
  END;
  SELECT v_id AS id;
END
