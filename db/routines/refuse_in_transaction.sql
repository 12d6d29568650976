-- A routine is its own transaction: its COMMIT would commit a half of the caller's, its ROLLBACK undo it. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE refuse_in_transaction(IN p_routine VARCHAR(64))
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  IF @@in_transaction THEN
    CALL refuse(CONCAT('in_transaction: ', p_routine, ' is a transaction of its own and was called inside another'));
  END IF;
END
