-- Refuses what no account can dial by (billing/numbers.py): a plan that no node can read would refuse its every call.
-- What is NULL is not looked at. Internal.
CREATE OR REPLACE DEFINER = meterline_owner@localhost PROCEDURE check_dial_plan(
  IN p_what VARCHAR(128),
  IN p_country_code TEXT,
  IN p_international_prefixes TEXT,
  IN p_national_prefix TEXT
)
SQL SECURITY DEFINER
CONTAINS SQL
BEGIN
  IF NOT p_country_code REGEXP '\\A([1-9][0-9]{0,2})?\\z' THEN
    CALL refuse(CONCAT('invalid_content: ', p_what, ': country_code ', LEFT(p_country_code, 40),
                       ' is not 1 to 3 digits from 1 on'));
  END IF;
  IF NOT p_international_prefixes REGEXP '\\A *[0-9]* *(, *[0-9]* *)*\\z' THEN
    CALL refuse(CONCAT('invalid_content: ', p_what, ': international_prefixes ', LEFT(p_international_prefixes, 40),
                       ' are not digits like 00,011'));
  END IF;
  IF NOT p_national_prefix REGEXP '\\A[0-9]*\\z' THEN
    CALL refuse(CONCAT('invalid_content: ', p_what, ': national_prefix ', LEFT(p_national_prefix, 40),
                       ' is not digits'));
  END IF;
END
