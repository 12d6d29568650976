-- Refuses content of open_call that is no JSON, or whose legs lack an account or an amount. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_open_content(IN p_content LONGTEXT)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  DECLARE v_legs INT;
  DECLARE v_steps INT;

  IF p_content IS NULL OR NOT JSON_VALID(p_content) THEN
    CALL refuse('invalid_content: open_call was not given JSON');
  END IF;
  SET v_legs = JSON_LENGTH(p_content, '$.legs');
  SET v_steps = JSON_LENGTH(p_content, '$.steps');
  IF COALESCE(v_steps, 0) = 0 THEN
    CALL refuse('invalid_content: open_call was given no steps');
  END IF;
  IF NOT (JSON_LENGTH(JSON_EXTRACT(p_content, '$.legs[*].account')) <=> v_legs) THEN
    CALL refuse('invalid_content: a leg of open_call has no account');
  END IF;
  CALL check_amounts('open_call hold', JSON_EXTRACT(p_content, '$.legs[*].holds[*]'), v_legs * v_steps);
  CALL check_amounts('open_call smallest charge', JSON_EXTRACT(p_content, '$.legs[*].smallest'), v_legs);
END
