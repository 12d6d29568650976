-- Counts a wrong code for the account and its source, and writes down what was wrong with it. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE note_voucher_refusal(
  IN p_code CHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_account_id BIGINT UNSIGNED,
  IN p_source VARCHAR(64),
  IN p_outcome VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_actor VARCHAR(64)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  CALL count_guess('voucher_account', p_account_id, 5);
  CALL count_guess('voucher_source', p_source, 20);
  INSERT INTO voucher_refusal (account_id, source, outcome, batch_id, serial, actor, login, refused_at)
  SELECT p_account_id, p_source, p_outcome, voucher.batch_id, voucher.serial, p_actor, USER(), UTC_TIMESTAMP(6)
    FROM (SELECT 1) AS one LEFT JOIN voucher ON voucher.code_hash = p_code;
END
