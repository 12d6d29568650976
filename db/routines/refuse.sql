-- Signals 'token: sentence that names the thing'. SIGNAL itself takes no expression. What a NULL made of the sentence
-- is NULL, and has to be a refusal, too. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE refuse(IN p_message TEXT)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  DECLARE v_message VARCHAR(500) DEFAULT LEFT(COALESCE(p_message, 'invalid_content: NULL where a value must be'), 500);
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = v_message;
END
