-- The answer of open_call and extend_call: a row a leg, or one row without a leg if the call is not live. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE show_grant(
  IN p_outcome VARCHAR(32),
  IN p_failed_leg TINYINT UNSIGNED,
  IN p_grant_s INT UNSIGNED,
  IN p_legs LONGTEXT
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  SELECT p_outcome AS outcome, p_failed_leg AS failed_leg, p_grant_s AS grant_s,
         answer.leg, answer.account_id, answer.hold, answer.available
    FROM JSON_TABLE(COALESCE(p_legs, '[{}]'), '$[*]' COLUMNS (
      leg TINYINT UNSIGNED PATH '$.leg',
      account_id BIGINT UNSIGNED PATH '$.account_id',
      hold DECIMAL(18,6) PATH '$.hold',
      available DECIMAL(18,6) PATH '$.available'
    )) AS answer
   ORDER BY answer.leg;
END
