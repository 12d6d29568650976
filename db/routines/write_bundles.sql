-- Writes what the legs of a call that write_open wrote hold of their minute bundles: p_priced is price_open's, with
-- step p_step. A leg that holds none keeps no bundles either: money is held for its first second, and that is final.
-- Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE write_bundles(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_priced LONGTEXT,
  IN p_step INT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_legs INT DEFAULT JSON_LENGTH(p_priced, '$.legs');
  DECLARE v_leg INT DEFAULT 0;
  DECLARE v_covered INT UNSIGNED;
  DECLARE v_bundles LONGTEXT;
  DECLARE v_takes LONGTEXT DEFAULT '[]';

  WHILE v_leg < v_legs DO
    SET v_covered = JSON_VALUE(p_priced, CONCAT('$.legs[', v_leg, '].covered[', p_step - 1, ']'));
    IF v_covered > 0 THEN
      SET v_bundles = JSON_EXTRACT(p_priced, CONCAT('$.legs[', v_leg, '].bundles'));
      INSERT INTO bundle_period (account_bundle_id, starts_at, ends_at, granted_s)
      SELECT given.id, given.from_at, given.to_at, given.granted
        FROM JSON_TABLE(v_bundles, '$[*]' COLUMNS (
               id BIGINT UNSIGNED PATH '$.id',
               from_at TEXT PATH '$.from',
               to_at TEXT PATH '$.to',
               granted INT UNSIGNED PATH '$.granted'
             )) AS given
       WHERE given.granted > 0
      ON DUPLICATE KEY UPDATE granted_s = bundle_period.granted_s;
      INSERT INTO live_bundle (call_key, leg, place, account_bundle_id, starts_at)
      SELECT p_key, v_leg, given.place, given.id, given.from_at
        FROM JSON_TABLE(v_bundles, '$[*]' COLUMNS (
               place FOR ORDINALITY,
               id BIGINT UNSIGNED PATH '$.id',
               from_at TEXT PATH '$.from',
               granted INT UNSIGNED PATH '$.granted'
             )) AS given
       WHERE given.granted > 0;
      SET v_takes = JSON_ARRAY_APPEND(v_takes, '$', JSON_OBJECT('leg', v_leg, 'covered', v_covered));
    END IF;
    SET v_leg = v_leg + 1;
  END WHILE;
  CALL hold_bundles(p_key, v_takes);
END
