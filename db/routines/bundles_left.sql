-- What the minute bundles of a leg of open_call have left, under the lock of its purse: its `bundles`, in their order,
-- each with `left`, and `from` and `to` of the period that the call's rating instant is in. One that the account does
-- not have then, or no more, has nothing left. Internal.
--
-- A period that is counted already stays as it is, also when the account's tariff has moved to another time zone; a
-- new one begins where the last one ended, so that no instant is in two.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE bundles_left(
  IN p_content LONGTEXT,
  IN p_leg INT,
  OUT p_bundles LONGTEXT
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  DECLARE v_account BIGINT UNSIGNED DEFAULT JSON_VALUE(p_content, CONCAT('$.legs[', p_leg, '].account'));
  DECLARE v_rated_at DATETIME DEFAULT JSON_VALUE(p_content, '$.rated_at');

  SELECT JSON_ARRAYAGG(JSON_OBJECT(
           'id', given.id,
           'from', COALESCE(counted.starts_at, GREATEST(given.from_at, COALESCE(
             (SELECT MAX(before_it.ends_at) FROM bundle_period AS before_it
               WHERE before_it.account_bundle_id = given.id AND before_it.ends_at <= v_rated_at), given.from_at))),
           'to', COALESCE(counted.ends_at, LEAST(given.to_at, COALESCE(
             (SELECT MIN(after_it.starts_at) FROM bundle_period AS after_it
               WHERE after_it.account_bundle_id = given.id AND after_it.starts_at > v_rated_at), given.to_at))),
           'granted', COALESCE(counted.granted_s, bundle.seconds, 0),
           'left', COALESCE(counted.granted_s - counted.used_s - counted.held_s, bundle.seconds, 0))
           ORDER BY given.place)
    INTO p_bundles
    FROM JSON_TABLE(JSON_EXTRACT(p_content, CONCAT('$.legs[', p_leg, '].bundles')), '$[*]' COLUMNS (
           place FOR ORDINALITY,
           id BIGINT UNSIGNED PATH '$.id',
           from_at DATETIME PATH '$.from',
           to_at DATETIME PATH '$.to'
         )) AS given
    LEFT JOIN account_bundle ON account_bundle.id = given.id AND account_bundle.account_id = v_account
     AND account_bundle.starts_at <= v_rated_at AND account_bundle.ends_at > v_rated_at
     AND given.from_at <= v_rated_at AND given.to_at > v_rated_at
    LEFT JOIN bundle ON bundle.id = account_bundle.bundle_id
    LEFT JOIN bundle_period AS counted ON counted.account_bundle_id = account_bundle.id
     AND counted.starts_at <= v_rated_at AND counted.ends_at > v_rated_at;
END
