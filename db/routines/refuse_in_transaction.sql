-- A routine is its own transaction: its COMMIT would commit a half of the caller's, its ROLLBACK undo it. Every routine
-- that programs call begins with this; so here is said, too, what the session must not: JSON_ARRAYAGG cuts its list at
-- group_concat_max_len, and a call would be opened, and then answered with a text that is no JSON. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE refuse_in_transaction(IN p_routine VARCHAR(64))
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  IF @@in_transaction THEN
    CALL refuse(CONCAT('in_transaction: ', p_routine, ' is a transaction of its own and was called inside another'));
  END IF;
  SET SESSION group_concat_max_len = 1048576;
END
