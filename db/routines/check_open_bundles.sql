-- Refuses minute bundles of open_call that cannot be meant: one given twice, offers that do not go with the steps, or
-- are no amounts. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_open_bundles(IN p_content LONGTEXT)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  DECLARE v_legs INT DEFAULT JSON_LENGTH(p_content, '$.legs');
  DECLARE v_steps INT DEFAULT JSON_LENGTH(p_content, '$.steps');
  DECLARE v_leg INT DEFAULT 0;
  DECLARE v_offers LONGTEXT;

  WHILE v_leg < v_legs DO
    IF JSON_EXISTS(p_content, CONCAT('$.legs[', v_leg, '].bundles')) THEN
      IF EXISTS (SELECT 1
                   FROM JSON_TABLE(JSON_EXTRACT(p_content, CONCAT('$.legs[', v_leg, '].bundles')), '$[*]' COLUMNS (
                          id BIGINT UNSIGNED PATH '$.id'
                        )) AS given
                  GROUP BY id
                 HAVING COUNT(*) > 1 OR id IS NULL) THEN
        CALL refuse(CONCAT('invalid_content: leg ', v_leg, ' of open_call has a bundle twice, or one without an id'));
      END IF;
      SET v_offers = JSON_EXTRACT(p_content, CONCAT('$.legs[', v_leg, '].offers'));
      IF NOT (JSON_LENGTH(v_offers) <=> v_steps) OR NOT (JSON_LENGTH(JSON_EXTRACT(v_offers, '$[*][0]')) <=> v_steps)
      THEN
        CALL refuse(CONCAT('invalid_content: leg ', v_leg, ' of open_call has bundles, and no offers for each step'));
      END IF;
      CALL check_offers(CONCAT('open_call offer of leg ', v_leg), JSON_EXTRACT(v_offers, '$[*][*]'));
    END IF;
    SET v_leg = v_leg + 1;
  END WHILE;
END
