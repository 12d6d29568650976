-- Puts an account, with all below it, under another parent (NULL: the vendor's own), charged at a tariff of that
-- parent. No call may be in progress below it, the currency stays, and it has no bundle that its new parent does not
-- sell. The purses of the account and of all above its new place are locked, so two moves cannot make a circle.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE move_account(
  IN p_account VARCHAR(64),
  IN p_parent VARCHAR(64),
  IN p_tariff VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_id BIGINT UNSIGNED;
  DECLARE v_parent BIGINT UNSIGNED;
  DECLARE v_above LONGTEXT DEFAULT '[]';
  DECLARE v_above_now LONGTEXT;
  DECLARE v_calls INT UNSIGNED;
  DECLARE v_held DECIMAL(18,6);
  DECLARE v_currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_depth INT;
  DECLARE v_bundle VARCHAR(64);

  CALL refuse_in_transaction('move_account');

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    CALL find_account(p_account, v_id);
    IF p_parent IS NOT NULL THEN
      CALL find_account(p_parent, v_parent);
      CALL chain_of(v_parent, v_above);
    END IF;
    IF JSON_CONTAINS(v_above, v_id) THEN
      CALL refuse(CONCAT('own_ancestor: account ', p_account, ' would be above itself: ', p_parent,
                         IF(v_parent = v_id, ' is it', ' is below it')));
    END IF;
    CALL depth_below(v_id, v_depth);
    IF JSON_LENGTH(v_above) + v_depth > 8 THEN
      CALL refuse(CONCAT('invalid_parent: under ', p_parent, ', the chain of what is below ', p_account,
                         ' would be longer than 8 accounts'));
    END IF;
    CALL lock_purses(JSON_ARRAY_INSERT(v_above, '$[0]', v_id));

    IF v_parent IS NOT NULL THEN
      CALL chain_of(v_parent, v_above_now); -- read before the locks, which it names
      IF v_above_now <> v_above THEN
        CALL refuse(CONCAT('chain_changed: ', p_parent, ' was moved itself at this moment: try again'));
      END IF;
    END IF;
    SELECT account.currency, purse.calls, purse.held INTO v_currency, v_calls, v_held
      FROM account JOIN purse ON purse.account_id = account.id
     WHERE account.id = v_id;
    IF v_calls > 0 OR v_held > 0 THEN
      CALL refuse(CONCAT('calls_in_progress: account ', p_account, ' has ', v_calls, ' calls in progress that hold ',
                         v_held, ': suspend it first'));
    END IF;
    CALL check_parent(p_account, v_parent);
    CALL check_account_tariff(p_account, v_parent, v_currency, p_tariff);
    SELECT MIN(bundle.name) INTO v_bundle
      FROM account_bundle JOIN bundle ON bundle.id = account_bundle.bundle_id
     WHERE account_bundle.account_id = v_id AND account_bundle.ends_at > UTC_TIMESTAMP()
       AND NOT bundle.owner_account_id <=> v_parent;
    IF v_bundle IS NOT NULL THEN
      CALL refuse(CONCAT('bundle_in_use: account ', p_account, ' has bundle ', v_bundle, ', which ',
                         COALESCE(p_parent, 'the vendor'), ' does not sell: unassign it first'));
    END IF;
    UPDATE account
       SET parent_id = v_parent, tariff_id = (SELECT tariff.id FROM tariff WHERE tariff.name = p_tariff),
           parent_hold_limit = IF(v_parent IS NULL, NULL, parent_hold_limit)
     WHERE id = v_id;
    COMMIT;
  END;
END
