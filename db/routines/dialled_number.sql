-- What was dialled as E.164 digits, by the account's dial plan (billing/numbers.py); NULL: it is no number. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE dialled_number(
  IN p_account_id BIGINT UNSIGNED,
  IN p_dialled TEXT,
  OUT p_number VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_bare TEXT DEFAULT REGEXP_REPLACE(p_dialled, '[-.()]', '');
  DECLARE v_country VARCHAR(3) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
  DECLARE v_international VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
  DECLARE v_national VARCHAR(4) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
  DECLARE v_prefix VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
  DECLARE v_number TEXT;

  IF v_bare REGEXP '\\A[+]?[0-9]+\\z' THEN
    SELECT country_code, CONCAT('["', REPLACE(international_prefixes, ',', '","'), '"]'), national_prefix
      INTO v_country, v_international, v_national
      FROM account
     WHERE id = p_account_id;
    SELECT TRIM(given.prefix) INTO v_prefix
      FROM JSON_TABLE(v_international, '$[*]' COLUMNS (
           prefix VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$')) AS given
     WHERE TRIM(given.prefix) <> '' AND LEFT(v_bare, CHAR_LENGTH(TRIM(given.prefix))) = TRIM(given.prefix)
     ORDER BY CHAR_LENGTH(TRIM(given.prefix)) DESC
     LIMIT 1;
    SET v_number = CASE
      WHEN LEFT(v_bare, 1) = '+' THEN SUBSTRING(v_bare, 2)
      WHEN v_prefix IS NOT NULL THEN SUBSTRING(v_bare, CHAR_LENGTH(v_prefix) + 1)
      WHEN v_country <> '' AND v_national <> '' AND LEFT(v_bare, CHAR_LENGTH(v_national)) = v_national
           THEN IF(v_bare = v_national, '', CONCAT(v_country, SUBSTRING(v_bare, CHAR_LENGTH(v_national) + 1)))
      ELSE v_bare
    END;
  END IF;
  SET p_number = IF(v_number REGEXP '\\A[1-9][0-9]{0,14}\\z', v_number, NULL);
END
