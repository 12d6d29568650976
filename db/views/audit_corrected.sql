-- Legs whose corrected charge is not what the corrections made of the first one. From two index scans: a leg without
-- corrections has none, and the corrections of one lead from its charge to what it comes to. Internal.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER
VIEW audit_corrected AS
SELECT 'corrected_charge' AS what, sides.call_key AS id, SUM(sides.expected) AS expected, SUM(sides.actual) AS actual
  FROM (
    SELECT call_key, leg, account_id, SUM(new_charge - old_charge) AS expected, 0 AS actual
      FROM correction GROUP BY call_key, leg, account_id
    UNION ALL
    SELECT call_key, leg, account_id, 0, corrected_charge - charge
      FROM cdr_leg FORCE INDEX (cdr_leg_account)
     WHERE corrected_charge IS NOT NULL
  ) AS sides
 GROUP BY sides.call_key, sides.leg, sides.account_id
HAVING SUM(sides.expected) <> SUM(sides.actual)
