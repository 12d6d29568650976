-- Refuses a setting that is no amount; null is none. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_setting_amount(
  IN p_what VARCHAR(128),
  IN p_settings LONGTEXT,
  IN p_name VARCHAR(64)
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  DECLARE v_text VARCHAR(255) DEFAULT JSON_VALUE(p_settings, CONCAT('$.', p_name));
  DECLARE v_amount DECIMAL(18,6);

  IF v_text IS NOT NULL THEN
    CALL check_amount(CONCAT(p_name, ' of ', p_what), v_text, v_amount);
  END IF;
END
