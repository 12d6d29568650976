-- How many accounts the longest chain has that ends with this one at its top. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE depth_below(
  IN p_account_id BIGINT UNSIGNED,
  OUT p_depth INT
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  WITH RECURSIVE below AS (
    SELECT 1 AS depth, p_account_id AS account_id
    UNION ALL
    SELECT below.depth + 1, account.id
      FROM below JOIN account ON account.parent_id = below.account_id
     WHERE below.depth < 9
  )
  SELECT MAX(depth) INTO p_depth FROM below;
END
