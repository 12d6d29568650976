-- Refuses a batch of which a number is another card's. The unique key says so too, less plainly. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_card_numbers(IN p_cards LONGTEXT)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_number VARCHAR(20);

  SELECT given.number INTO v_number
    FROM JSON_TABLE(p_cards, '$[*]' COLUMNS (
           number VARCHAR(20) CHARACTER SET ascii COLLATE ascii_nopad_bin PATH '$[0]'
         )) AS given
    STRAIGHT_JOIN credential_card ON credential_card.number = given.number
   LIMIT 1;
  IF v_number IS NOT NULL THEN
    CALL refuse(CONCAT('number_taken: another card has the number ', v_number));
  END IF;
END
