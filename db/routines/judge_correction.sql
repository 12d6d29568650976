-- Is there anything to correct? 'corrected': yes; 'already': this run did it; 'stale': the leg comes to something else
-- than p_old_charge, or its call is charged provisionally. The account's purse is locked. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE judge_correction(
  IN p_run_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_call_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin,
  IN p_leg TINYINT UNSIGNED,
  IN p_old_charge DECIMAL(18,6),
  IN p_new_charge DECIMAL(18,6),
  OUT p_outcome VARCHAR(32)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_done DECIMAL(18,6);
  DECLARE v_charge DECIMAL(18,6);
  DECLARE v_provisional BOOLEAN;

  SELECT new_charge INTO v_done
    FROM correction
   WHERE call_key = p_call_key AND leg = p_leg AND run_key = p_run_key;
  IF v_done <> p_new_charge THEN
    CALL refuse(CONCAT('key_conflict: run ', p_run_key, ' corrected leg ', p_leg, ' of call ', p_call_key, ' to ', v_done,
                       ' already: correct it in a run of its own'));
  END IF;

  SELECT provisional INTO v_provisional FROM cdr WHERE call_key = p_call_key FOR UPDATE;
  SELECT COALESCE(corrected_charge, charge) INTO v_charge
    FROM cdr_leg
   WHERE call_key = p_call_key AND leg = p_leg
     FOR UPDATE;
  SET p_outcome = CASE
    WHEN v_done IS NOT NULL THEN 'already'
    WHEN v_provisional OR v_charge <> p_old_charge THEN 'stale'
    ELSE 'corrected'
  END;
  IF p_outcome = 'corrected' AND p_new_charge = p_old_charge THEN
    CALL refuse(CONCAT('invalid_amount: the correction of leg ', p_leg, ' of call ', p_call_key, ' moves nothing: ',
                       p_old_charge));
  END IF;
END
