-- Refuses to book by hand what names, in its reference or its reason, a call that is charged provisionally on this
-- account: when its node comes back the difference is refunded by itself, and it would be paid twice. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_call_final(
  IN p_kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_account_id BIGINT UNSIGNED,
  IN p_reference VARCHAR(128),
  IN p_reason VARCHAR(255)
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin DEFAULT
    REGEXP_SUBSTR(UPPER(CONCAT_WS(' ', p_reference, p_reason)), '(?-i)\\b[0-9A-Z]{26}\\b');
  DECLARE v_provisional BOOLEAN DEFAULT FALSE;

  SELECT cdr.provisional INTO v_provisional
    FROM cdr
   WHERE cdr.call_key = v_key
     AND EXISTS (SELECT 1 FROM cdr_leg WHERE cdr_leg.call_key = v_key AND cdr_leg.account_id = p_account_id);
  IF v_provisional THEN
    CALL refuse(CONCAT('call_provisional: call ', v_key, ' is charged provisionally, and its node''s return would',
                       ' refund it again: accept the charge first (accept_cdr), then book the ', p_kind));
  END IF;
END
