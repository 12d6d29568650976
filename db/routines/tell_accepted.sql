-- Keeps what a node tells about a call whose charge was accepted as final, the first time that it does: nothing moves,
-- but a person may want to give something back. p_outcome, of settle_call: 'accepted', or 'already' for any other call
-- that is over. Purses and CDR are locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE tell_accepted(
  IN p_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_content LONGTEXT,
  IN p_now DATETIME(6),
  OUT p_outcome VARCHAR(32)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  SET p_outcome = IF(EXISTS (SELECT 1 FROM accepted_call WHERE call_key = p_key), 'accepted', 'already');
  UPDATE accepted_call
     SET told_at = p_now,
         told_result = LEFT(JSON_VALUE(p_content, '$.result'), 32),
         told_talked_ms = JSON_VALUE(p_content, '$.talked_ms'),
         told_billed_s = JSON_VALUE(p_content, '$.billed_s'),
         told_legs = JSON_EXTRACT(p_content, '$.legs')
   WHERE call_key = p_key AND told_at IS NULL;
END
