-- Keeps when a batch's zone was or will be how far from UTC; the latest word counts, for governments change their minds.
-- Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE put_zone_offsets(
  IN p_batch_id BIGINT UNSIGNED,
  IN p_offsets LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_zone VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin
    DEFAULT (SELECT zone FROM card_batch WHERE id = p_batch_id);

  IF NOT COALESCE(JSON_VALID(p_offsets) AND JSON_VALUE(p_offsets, '$[0][0]') <= '1970-01-01 00:00:00', FALSE) THEN
    CALL refuse(CONCAT('invalid_content: the offsets of zone ', v_zone, ' are not given from 1970-01-01 00:00:00 on'));
  END IF;
  -- Only what differs is written: batches of one zone do not wait for each other.
  INSERT INTO zone_offset (zone, since, offset_s)
  SELECT v_zone, given.since, given.offset_s
    FROM JSON_TABLE(p_offsets, '$[*]' COLUMNS (since DATETIME PATH '$[0]', offset_s INT PATH '$[1]')) AS given
    LEFT JOIN zone_offset AS known ON known.zone = v_zone AND known.since = given.since
   WHERE NOT (known.offset_s <=> given.offset_s)
  ON DUPLICATE KEY UPDATE offset_s = VALUES(offset_s);
  DELETE known FROM zone_offset AS known
    LEFT JOIN JSON_TABLE(p_offsets, '$[*]' COLUMNS (since DATETIME PATH '$[0]')) AS given ON given.since = known.since
   WHERE known.zone = v_zone AND given.since IS NULL;
END
