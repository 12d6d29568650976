-- An account with its purse, empty and active. p_parent NULL: the vendor's own; p_currency NULL: the tariff's. Answers
-- id. The name is its key: the same account again gives the same id, and is an error with another kind, parent,
-- currency, tariff or credit limit.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE create_account(
  IN p_kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_name VARCHAR(64),
  IN p_parent VARCHAR(64),
  IN p_currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_tariff VARCHAR(64),
  IN p_credit_limit LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_same BOOLEAN;
  DECLARE v_parent BIGINT UNSIGNED;
  DECLARE v_tariff BIGINT UNSIGNED;
  DECLARE v_currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin DEFAULT p_currency;
  DECLARE v_credit_limit DECIMAL(18,6);

  CALL refuse_in_transaction('create_account');
  CALL check_amount(CONCAT('credit limit of account ', COALESCE(p_name, 'NULL')), p_credit_limit, v_credit_limit);
  IF TRIM(COALESCE(p_name, '')) = '' THEN
    CALL refuse('invalid_content: an account has a name');
  END IF;
  IF COALESCE(p_kind, '') NOT IN ('reseller', 'customer', 'card') THEN
    CALL refuse(CONCAT('invalid_content: account ', p_name, ': ', COALESCE(JSON_QUOTE(p_kind), 'NULL'),
                       ' is not reseller, customer or card'));
  END IF;

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    IF p_parent IS NOT NULL THEN
      CALL find_account(p_parent, v_parent);
      CALL lock_purses(JSON_ARRAY(v_parent)); -- so that it is not closed meanwhile
    END IF;
    SELECT id, COALESCE(p_currency, currency) INTO v_tariff, v_currency FROM tariff WHERE name = p_tariff;

    SELECT account.id,
           account.kind = p_kind AND account.parent_id <=> v_parent AND account.currency = v_currency
             AND account.tariff_id <=> v_tariff AND purse.credit_limit = v_credit_limit
      INTO v_id, v_same
      FROM account JOIN purse ON purse.account_id = account.id
     WHERE account.name = p_name;
    IF NOT v_same THEN
      CALL refuse(CONCAT('key_conflict: there is another account named ', p_name));
    ELSEIF v_id IS NULL THEN
      CALL check_parent(p_name, v_parent);
      CALL check_account_tariff(p_name, v_parent, v_currency, p_tariff);
      INSERT INTO account (parent_id, kind, name, currency, tariff_id, created_at)
      VALUES (v_parent, p_kind, p_name, v_currency, v_tariff, UTC_TIMESTAMP(6));
      SET v_id = LAST_INSERT_ID();
      INSERT INTO purse (account_id, credit_limit) VALUES (v_id, v_credit_limit);
    END IF;
    COMMIT;
  END;
  SELECT v_id AS id;
END
