-- Minute bundles as they are sold. prefixes: "43,49,!49900", ! for those that are excluded.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_bundle_plan AS
SELECT bundle.id AS bundle_id, bundle.name, owner.name AS owner_name, bundle.status, bundle.seconds, bundle.period,
       bundle.priority,
       COALESCE((SELECT GROUP_CONCAT(IF(excluded, '!', ''), prefix ORDER BY prefix SEPARATOR ',')
                   FROM bundle_prefix WHERE bundle_prefix.bundle_id = bundle.id), '') AS prefixes,
       (SELECT COUNT(DISTINCT account_bundle.account_id) FROM account_bundle
         WHERE account_bundle.bundle_id = bundle.id AND account_bundle.ends_at > UTC_TIMESTAMP()) AS accounts
  FROM bundle
  LEFT JOIN account AS owner ON owner.id = bundle.owner_account_id
