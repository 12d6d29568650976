-- Refuses cards of issue_cards that are too many, or of which one has no number or no hash. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_cards(
  IN p_what VARCHAR(128),
  IN p_cards LONGTEXT
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_cards INT DEFAULT 0;
  DECLARE v_serial INT;
  DECLARE v_number VARCHAR(40);
  DECLARE v_is_taken BOOLEAN DEFAULT FALSE;

  IF JSON_VALID(p_cards) AND JSON_TYPE(p_cards) = 'ARRAY' THEN
    SET v_cards = JSON_LENGTH(p_cards);
  END IF;
  IF v_cards NOT BETWEEN 1 AND 50000 THEN
    CALL refuse(CONCAT('invalid_content: ', p_what, ': a batch has 1 to 50000 cards, not ', v_cards));
  END IF;

  SELECT serial, LEFT(number, 40) INTO v_serial, v_number
    FROM JSON_TABLE(p_cards, '$[*]' COLUMNS (
      serial FOR ORDINALITY,
      number VARCHAR(255) PATH '$[0]' NULL ON EMPTY NULL ON ERROR,
      pin_hash VARCHAR(255) PATH '$[1]' NULL ON EMPTY NULL ON ERROR
    )) AS given
   WHERE NOT COALESCE(number REGEXP '\\A[0-9]{4,20}\\z' AND pin_hash REGEXP '\\A(?-i)[0-9a-f]{64}\\z', FALSE)
   ORDER BY serial
   LIMIT 1;
  IF v_serial IS NOT NULL THEN
    CALL refuse(CONCAT('invalid_content: ', p_what, ': card ', v_serial, ' is not a number of 4 to 20 digits (',
                       COALESCE(JSON_QUOTE(v_number), 'NULL'), ') with the hash of its PIN'));
  END IF;
END
