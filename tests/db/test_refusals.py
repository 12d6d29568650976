"""What cannot be is refused in words that name it, to whoever types a CALL: not by a column or a constraint."""

from __future__ import annotations

import pymysql
import pytest

from tests.db.bank import Bank

KEY = "01JREFUSED000000000000000A"
SIGNALLED = 1644


@pytest.mark.parametrize(
    ("call", "refusal"),
    [
        ("create_account('cutomer', 'x', NULL, NULL, 'retail', '0')",
         'invalid_content: account x: "cutomer" is not reseller, customer or card'),
        ("create_account(NULL, 'x', NULL, NULL, 'retail', '0')",
         "invalid_content: account x: NULL is not reseller, customer or card"),
        ("add_trunk('x', 'gateway', NULL, NULL)",
         'invalid_content: trunk x: "gateway" is not customer, caller_number or ivr'),
        ("set_trunk_status('x', 'disabled')", 'invalid_content: trunk x: "disabled" is not active or suspended'),
        ("put_tariff(' ', NULL, 'EUR', 4, 'half_up', 'UTC')", "invalid_content: a tariff has a name"),
        ("remove_rate(1, NULL, NULL)", "unknown_rate: tariff 1 has no rate of prefix NULL from then"),
        (f"issue_vouchers('{KEY}', 'x', NULL, 'eur', '5', NULL, '', JSON_ARRAY(SHA2('x', 256)), 'ann')",
         'invalid_content: batch x: a currency is three capital letters, not "eur"'),
        (f"issue_vouchers('{KEY}', 'x', NULL, NULL, '5', NULL, '', JSON_ARRAY(SHA2('x', 256)), 'ann')",
         "invalid_content: batch x: a currency is three capital letters, not NULL"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_words(bank: Bank, call: str, refusal: str) -> None:
    """Token and sentence, and nothing is there afterwards."""
    connection = bank.plain("admin")
    with connection.cursor() as cursor, pytest.raises(pymysql.err.MySQLError) as told:
        cursor.execute(f"CALL {call}")
    connection.close()

    assert (SIGNALLED, refusal) == told.value.args
    assert [] == bank.sql("SELECT name FROM account WHERE name = 'x' UNION SELECT name FROM trunk WHERE name = 'x'")


def test_a_refusal_whose_sentence_a_null_took_is_one_still(bank: Bank) -> None:
    """SIGNAL with no text is an error of its own, about MESSAGE_TEXT."""
    with pytest.raises(pymysql.err.MySQLError) as told:
        bank.sql("CALL refuse(NULL)")

    assert (SIGNALLED, "invalid_content: NULL where a value must be") == told.value.args
