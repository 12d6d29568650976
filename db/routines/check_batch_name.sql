-- Refuses a batch without a name. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_batch_name(IN p_batch VARCHAR(48))
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  IF TRIM(COALESCE(p_batch, '')) = '' THEN
    CALL refuse('invalid_content: a batch needs a name');
  END IF;
END
