-- One amount as a number; what it is not, check_amounts says. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_amount(
  IN p_what VARCHAR(128),
  IN p_text LONGTEXT,
  OUT p_amount DECIMAL(18,6)
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  CALL check_amounts(p_what, JSON_ARRAY(p_text), 1);
  SET p_amount = CAST(p_text AS DECIMAL(18,6));
END
