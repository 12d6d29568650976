-- Changes the settings of a user that p_settings names. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE write_user(
  IN p_account VARCHAR(64),
  IN p_account_id BIGINT UNSIGNED,
  IN p_user_id BIGINT UNSIGNED,
  IN p_settings LONGTEXT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_name VARCHAR(64) DEFAULT JSON_VALUE(p_settings, '$.name');
  DECLARE v_now LONGTEXT;

  CALL check_settings(CONCAT('a user of account ', p_account), p_settings,
                      'name,max_calls,longest_call_s,max_calls_per_second');
  IF EXISTS (SELECT 1 FROM user WHERE account_id = p_account_id AND current_name = v_name AND id <> p_user_id) THEN
    CALL refuse(CONCAT('name_taken: account ', p_account, ' has another user named ', v_name));
  END IF;
  SELECT JSON_MERGE_PATCH(JSON_OBJECT('name', name, 'max_calls', max_calls, 'longest_call_s', longest_call_s,
                                      'max_calls_per_second', max_calls_per_second), p_settings)
    INTO v_now
    FROM user
   WHERE id = p_user_id
     FOR UPDATE;
  UPDATE user
     SET name = JSON_VALUE(v_now, '$.name'),
         max_calls = JSON_VALUE(v_now, '$.max_calls'),
         longest_call_s = JSON_VALUE(v_now, '$.longest_call_s'),
         max_calls_per_second = JSON_VALUE(v_now, '$.max_calls_per_second')
   WHERE id = p_user_id;
END
