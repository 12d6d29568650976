-- Refuses codes of issue_vouchers that are too many, or of which one is no hash. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_codes(
  IN p_what VARCHAR(128),
  IN p_code_hashes LONGTEXT
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  DECLARE v_codes INT DEFAULT 0;
  DECLARE v_serial INT;

  IF JSON_VALID(p_code_hashes) AND JSON_TYPE(p_code_hashes) = 'ARRAY' THEN
    SET v_codes = JSON_LENGTH(p_code_hashes);
  END IF;
  IF v_codes NOT BETWEEN 1 AND 50000 THEN
    CALL refuse(CONCAT('invalid_content: ', p_what, ': a batch has 1 to 50000 vouchers, not ', v_codes));
  END IF;
  SELECT MIN(serial) INTO v_serial
    FROM JSON_TABLE(p_code_hashes, '$[*]' COLUMNS (
      serial FOR ORDINALITY,
      code_hash VARCHAR(255) PATH '$' NULL ON EMPTY NULL ON ERROR
    )) AS given
   WHERE NOT COALESCE(code_hash REGEXP '\\A(?-i)[0-9a-f]{64}\\z', FALSE);
  IF v_serial IS NOT NULL THEN
    CALL refuse(CONCAT('invalid_content: ', p_what, ': voucher ', v_serial, ' is no hash of a code'));
  END IF;
END
