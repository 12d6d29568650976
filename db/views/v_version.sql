-- What db/migrate.py loaded last, with its content's hash, and which migrations it applied: for `meterline doctor`.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_version AS
SELECT CAST(kind AS CHAR(16) CHARACTER SET ascii) COLLATE ascii_bin AS kind, name, content_hash
  FROM loaded_object
UNION ALL
SELECT CAST('MIGRATION' AS CHAR(16) CHARACTER SET ascii) COLLATE ascii_bin,
       CAST(migration_id AS CHAR(64) CHARACTER SET ascii) COLLATE ascii_bin, ''
  FROM _yoyo_migration
