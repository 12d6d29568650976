-- Refuses content of settle_call that cannot be meant. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_settle_content(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_content LONGTEXT
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  IF p_content IS NULL OR NOT JSON_VALID(p_content) THEN
    CALL refuse(CONCAT('invalid_content: settle_call of ', p_key, ' was not given JSON'));
  END IF;
  IF JSON_VALUE(p_content, '$.grant_s') IS NULL OR JSON_VALUE(p_content, '$.ended_ago_ms') IS NULL THEN
    CALL refuse(CONCAT('invalid_content: settle_call of ', p_key, ' lacks grant_s or ended_ago_ms'));
  END IF;
  IF NOT (CAST(JSON_VALUE(p_content, '$.billed_s') AS UNSIGNED) <= CAST(JSON_VALUE(p_content, '$.grant_s') AS UNSIGNED)
          <=> TRUE) THEN
    CALL refuse(CONCAT('invalid_content: settle_call of ', p_key, ' bills more than the grant, or not a number'));
  END IF;
  IF JSON_VALUE(p_content, '$.carrier_cost') IS NOT NULL THEN
    CALL check_amounts(CONCAT('settle_call carrier cost of ', p_key),
                       JSON_ARRAY(JSON_VALUE(p_content, '$.carrier_cost')), 1);
  END IF;
  CALL check_amounts(CONCAT('settle_call charge of ', p_key), JSON_EXTRACT(p_content, '$.legs[*].charge'),
                     COALESCE(JSON_LENGTH(p_content, '$.legs'), 0));
END
