-- The transaction of bar_prefix, allow_prefix and forget_prefix (p_allowed NULL): the rule, and the text of all rules
-- that comes with a caller (billing/barring.py). Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE write_prefix_rule(
  IN p_account VARCHAR(64),
  IN p_user VARCHAR(64),
  IN p_prefix TEXT,
  IN p_allowed BOOLEAN
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED;
  DECLARE v_user BIGINT UNSIGNED;
  DECLARE v_rules INT;

  IF NOT COALESCE(p_prefix REGEXP '\\A[0-9]{0,20}\\z', FALSE) THEN
    CALL refuse(CONCAT('invalid_content: prefix ', COALESCE(LEFT(p_prefix, 40), 'NULL'),
                       ' is not up to 20 digits; none stands for every number'));
  END IF;
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    IF p_user IS NULL THEN
      CALL find_account(p_account, v_account);
      SELECT id INTO v_account FROM account WHERE id = v_account FOR UPDATE; -- two rules at once: one text of both
      IF p_allowed IS NULL THEN
        DELETE FROM account_prefix WHERE account_id = v_account AND prefix = CONVERT(p_prefix USING ascii);
      ELSE
        INSERT INTO account_prefix (account_id, prefix, allowed) VALUES (v_account, p_prefix, p_allowed)
        ON DUPLICATE KEY UPDATE allowed = p_allowed;
      END IF;
    ELSE
      CALL find_user(p_account, p_user, v_account, v_user);
      SELECT id INTO v_user FROM user WHERE id = v_user FOR UPDATE;
      IF p_allowed IS NULL THEN
        DELETE FROM user_prefix WHERE user_id = v_user AND prefix = CONVERT(p_prefix USING ascii);
      ELSE
        INSERT INTO user_prefix (user_id, prefix, allowed) VALUES (v_user, p_prefix, p_allowed)
        ON DUPLICATE KEY UPDATE allowed = p_allowed;
      END IF;
    END IF;
    IF p_allowed IS NULL AND ROW_COUNT() = 0 THEN
      CALL refuse(CONCAT('unknown_prefix: ', IF(p_user IS NULL, '', CONCAT('user ', p_user, ' of ')), 'account ',
                         p_account, ' has no rule for prefix ', IF(p_prefix = '', '(every number)', p_prefix)));
    END IF;

    IF p_user IS NULL THEN
      UPDATE account
         SET prefix_rules = (SELECT GROUP_CONCAT(IF(allowed, '+', '-'), prefix ORDER BY prefix)
                               FROM account_prefix WHERE account_id = v_account)
       WHERE id = v_account;
      SELECT COUNT(*) INTO v_rules FROM account_prefix WHERE account_id = v_account;
    ELSE
      UPDATE user
         SET prefix_rules = (SELECT GROUP_CONCAT(IF(allowed, '+', '-'), prefix ORDER BY prefix)
                               FROM user_prefix WHERE user_id = v_user)
       WHERE id = v_user;
      SELECT COUNT(*) INTO v_rules FROM user_prefix WHERE user_id = v_user;
    END IF;
    IF v_rules > 1000 THEN -- each comes with every call
      CALL refuse(CONCAT('too_many_rules: account ', p_account, ' has 1000 prefixes already'));
    END IF;
    COMMIT;
  END;
END
