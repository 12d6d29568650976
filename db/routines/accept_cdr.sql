-- What the reaper charged for a call is final: its node will not tell how it ended, or may do so in vain. Whoever wants
-- to give money back by hand does this first. A right of cashiers: it gives up what the node's truth would refund, and
-- they alone can refund.
--
-- Answers one row: outcome, 'accepted' or, before by whomever, 'already'; accepted_at, actor, reason.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE accept_cdr(
  IN p_call_key LONGTEXT,
  IN p_actor VARCHAR(64),
  IN p_reason VARCHAR(255)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_key CHAR(26) CHARACTER SET ascii COLLATE ascii_bin;
  DECLARE v_provisional BOOLEAN;
  DECLARE v_accepted INT DEFAULT 0;

  CALL refuse_in_transaction('accept_cdr');
  CALL check_key('accept_cdr', p_call_key, v_key);
  CALL check_actor_and_reason(CONCAT('accept_cdr of call ', v_key), p_actor, p_reason);

  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1265 -- an error (what does not fit) of the class of warnings
    BEGIN
      ROLLBACK;
      RESIGNAL;
    END;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ WRITE;
    SELECT provisional INTO v_provisional FROM cdr WHERE call_key = v_key FOR UPDATE;
    IF v_provisional THEN
      CALL accept_provisional(JSON_ARRAY(v_key), p_actor, p_reason, v_accepted);
    ELSEIF NOT EXISTS (SELECT 1 FROM accepted_call WHERE call_key = v_key) THEN
      IF v_provisional IS NOT NULL OR EXISTS (SELECT 1 FROM cdr_archive WHERE call_key = v_key) THEN
        CALL refuse(CONCAT('call_settled: call ', v_key, ' is not charged provisionally: how it ended is known'));
      ELSEIF EXISTS (SELECT 1 FROM live_call WHERE call_key = v_key) THEN
        CALL refuse(CONCAT('calls_in_progress: call ', v_key, ' is in progress, and nothing was charged for it yet'));
      END IF;
      CALL refuse(CONCAT('unknown_call: there is no call ', v_key));
    END IF;
    COMMIT;
  END;
  SELECT IF(v_accepted > 0, 'accepted', 'already') AS outcome, accepted_at, actor, reason
    FROM accepted_call
   WHERE call_key = v_key;
END
