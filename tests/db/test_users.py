"""Users, their credentials and trunks: what an administrator may do, and every guard with its words."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pymysql
import pytest

from billing.errors import LedgerRefused
from billing.ledger import Ledger
from stack.processes import wait_until
from tests.db.bank import Bank, call_record, new_key, refused, request, settlement

HASHES = ("a" * 32, "b" * 64)


@pytest.fixture
def acme(bank: Bank) -> str:
    """A customer with money, by name."""
    return bank.name_of(bank.account("100", kind="customer"))


def id_of(bank: Bank, account: str) -> int:
    found = bank.cashier.account_named(account)
    assert found is not None
    return found.account_id


def test_a_user_is_made_once(bank: Bank, acme: str) -> None:
    """His name is his key within the account; the same again is he, and changes nothing."""
    first = bank.admin.create_user(acme, "101", max_calls=2)
    assert first == bank.admin.create_user(acme, "101", max_calls=5)
    (user,) = bank.admin.users(acme)
    assert ("101", 2, "active", 0) == (user.name, user.max_calls, user.status, user.calls)
    bank.admin.set_user(acme, "101", name="reception", max_calls=None, longest_call_s=60)
    (user,) = bank.admin.users(acme)
    assert ("reception", None, 60) == (user.name, user.max_calls, user.longest_call_s)
    bank.admin.create_user(acme, "102")
    with pytest.raises(LedgerRefused, match=rf"^name_taken: account {acme} has another user named reception$"):
        bank.admin.set_user(acme, "102", name="reception")
    with pytest.raises(LedgerRefused, match=rf"^invalid_content: the new name of a user of account {acme} is empty$"):
        bank.admin.set_user(acme, "102", name=" ")


def test_a_closed_account_takes_no_user(bank: Bank) -> None:
    """He could not call."""
    account = bank.account(kind="customer")
    bank.admin.close_account(account)
    with pytest.raises(LedgerRefused, match=r"^account_closed: account .* is closed, and takes no user"):
        bank.admin.create_user(account, "101")


def test_a_removed_user_leaves_his_name_in_the_cdrs(bank: Bank, acme: str) -> None:
    """Another may have the name then; passwords and numbers are gone; the old calls are still the old one's."""
    account = id_of(bank, acme)
    old = bank.admin.create_user(acme, "101")
    username = f"101 of {acme}"
    bank.admin.set_user_password(acme, "101", username, "example.org", *HASHES)
    trunk = f"trunk of {acme}"
    trunk_id = bank.admin.add_trunk(trunk, "caller_number", None, None)
    bank.admin.add_caller_number(trunk, "4930101", acme, "101")
    assert bank.proxy.identify_caller_number(trunk_id, "4930101") is not None
    bank.admin.bar_prefix(acme, "101", "49")
    key, live = new_key(), bank.opened([account], user_id=old)
    bank.proxy.record_call(key, call_record(account, user_id=old))

    with pytest.raises(LedgerRefused) as refusal:
        bank.admin.remove_user(acme, "101")
    assert ("calls_in_progress", f"user 101 of account {acme} has 1 calls in progress: suspend him first") == (
        *(refusal.value.token, refusal.value.message),
    )
    bank.give_up(live)
    bank.admin.remove_user(acme, "101")
    assert bank.proxy.identify_digest(username, "example.org") is None
    assert bank.proxy.identify_caller_number(trunk_id, "4930101") is None
    assert [] == bank.admin.users(acme)
    new = bank.admin.create_user(acme, "101")
    assert new != old
    assert {"101"} == {cdr.user_name for cdr in bank.cashier.cdrs(account_id=account)}
    assert {old} == {cdr.user_id for cdr in bank.cashier.cdrs(account_id=account)}
    with pytest.raises(LedgerRefused, match=r"^unknown_user: account .* has no user 102$"):
        bank.admin.remove_user(acme, "102")
    assert "user_suspended" == bank.proxy.open_call(new_key(), request([account], user_id=old)).outcome


def test_a_user_who_is_removed_meanwhile_stays_removed(bank: Bank, acme: str) -> None:
    """Whoever changes him waits for the removal, and finds him gone: he does not come back, and gets nothing."""
    user = bank.admin.create_user(acme, "101")
    trunk = f"trunk for {acme}"
    bank.admin.add_trunk(trunk, "caller_number", None, None)
    changes: list[Callable[[Ledger], object]] = [
        lambda admin: admin.suspend_user(acme, "101"),
        lambda admin: admin.resume_user(acme, "101"),
        lambda admin: admin.set_user(acme, "101", max_calls=1),
        lambda admin: admin.set_user_password(acme, "101", f"101 of {acme}", "example.org", *HASHES),
        lambda admin: admin.bar_prefix(acme, "101", "49"),
        lambda admin: admin.add_caller_number(trunk, "4930199", acme, "101"),
        lambda admin: admin.remove_user(acme, "101"),
    ]
    with (
        pymysql.connect(**bank.server.admin_params(), database=bank.database) as removing,
        ThreadPoolExecutor(len(changes)) as pool,
    ):
        cursor = removing.cursor()
        cursor.execute("SELECT 1 FROM purse WHERE account_id = %s FOR UPDATE", (id_of(bank, acme),))
        admins = [bank.another("admin", lock_wait_s=10) for _ in changes]
        asked = [
            pool.submit(refused, partial(change, admin)) for admin, change in zip(admins, changes, strict=True)
        ]
        waiting = "SELECT COUNT(*) AS number FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        wait_until(lambda: bank.sql(waiting)[0]["number"] == len(changes), 10, "all wait", poll_s=0.25)
        cursor.execute("UPDATE user SET status = 'removed' WHERE id = %s", (user,))
        removing.commit()
        assert ["unknown_user"] * len(changes) == [one.result() for one in asked]
    assert [("101", "removed")] == [(one.name, one.status) for one in bank.admin.users(acme, removed=True)]
    assert ([], []) == (bank.admin.usernames(acme), bank.admin.caller_numbers(acme))
    bank.admin.remove_trunk(trunk)


def test_suspending_a_user_ends_his_calls_and_no_colleagues(bank: Bank, acme: str) -> None:
    """With now; without, they end at their grants."""
    account = id_of(bank, acme)
    one, two = (bank.admin.create_user(acme, name) for name in ("101", "102"))
    his, colleagues = bank.opened([account], user_id=one), bank.opened([account], user_id=two)
    assert 0 == bank.admin.suspend_user(acme, "101")
    assert 1 == bank.admin.suspend_user(acme, "101", now=True, reason="left")
    assert [(his, "left")] == [
        (one.call_key, one.reason) for one in bank.proxy.calls_to_end("node1") if one.call_key in (his, colleagues)
    ]
    assert "user_suspended" == bank.proxy.open_call(new_key(), request([account], user_id=one)).outcome
    bank.admin.resume_user(acme, "101")
    bank.give_up(his, colleagues, bank.opened([account], user_id=one))


def test_a_sip_user_name_is_one_users(bank: Bank, acme: str) -> None:
    """Another one's is refused, not taken; his own password is replaced; hashes must look like hashes."""
    for name in ("101", "102"):
        bank.admin.create_user(acme, name)
    username = f"sip of {acme}"
    bank.admin.set_user_password(acme, "101", username, "example.org", *HASHES)
    bank.admin.set_user_password(acme, "101", username, "example.org", "c" * 32, "d" * 64)
    caller = bank.proxy.identify_digest(username, "example.org")
    assert caller is not None
    assert ("c" * 32, "d" * 64, "101") == (caller.ha1_md5, caller.ha1_sha256, caller.user_name)
    with pytest.raises(LedgerRefused, match=rf"^name_taken: the SIP user name {username} in realm example.org is "):
        bank.admin.set_user_password(acme, "102", username, "example.org", *HASHES)
    assert bank.proxy.identify_digest(username, "example.org").user_name == "101"  # type: ignore[union-attr]
    bank.admin.set_user_password(acme, "102", username, "example.net", *HASHES)
    for hashes in (("plain", "b" * 64), ("A" * 32, "b" * 64), ("a" * 32, "b" * 63)):
        with pytest.raises(LedgerRefused, match=r"^invalid_content: the password of x is not the two hex hashes"):
            bank.admin.set_user_password(acme, "101", "x", "example.org", *hashes)
    with pytest.raises(LedgerRefused, match=r"^unknown_username: user 102 of account .* has no SIP user name x in "):
        bank.admin.remove_user_password(acme, "102", "x", "example.org")


def test_a_caller_number_is_one_callers(bank: Bank, acme: str) -> None:
    """On its trunk; digits alone, and on a trunk for caller numbers alone."""
    for name in ("101", "102"):
        bank.admin.create_user(acme, name)
    trunk, ivr = f"numbers of {acme}", f"ivr of {acme}"
    bank.admin.add_trunk(trunk, "caller_number", None, None)
    bank.admin.add_trunk(ivr, "ivr", None, None)
    card = bank.name_of(bank.account(kind="card"))
    bank.admin.add_caller_number(trunk, "4930101", acme, "101")
    bank.admin.add_caller_number(trunk, "4930101", acme, "101")
    bank.admin.add_caller_number(trunk, "4930102", card, None)
    assert [("4930101", acme, "101"), ("4930102", card, None)] == [
        (one.number, one.account_name, one.user_name) for one in bank.admin.caller_numbers(trunk=trunk)
    ]
    for number, account, user, where, words in (
        ("4930101", acme, "102", trunk, f"number_taken: caller number 4930101 on trunk {trunk} is somebody else's"),
        ("4930102", acme, "101", trunk, "number_taken: "),
        ("+4930", acme, "101", trunk, "invalid_content: caller number +4930 is not 2 to 20 digits"),
        ("4930103", acme, "101", ivr, f"invalid_content: trunk {ivr} is of kind ivr, and takes no caller numbers"),
        ("4930103", acme, None, trunk, f"invalid_content: account {acme} is no card"),
        ("4930103", acme, "103", trunk, f"unknown_user: account {acme} has no user 103"),
        ("4930103", acme, "101", "nowhere", "unknown_trunk: there is no trunk nowhere"),
    ):
        with pytest.raises(LedgerRefused) as refusal:
            bank.admin.add_caller_number(where, number, account, user)
        assert str(refusal.value).startswith(words)
    with pytest.raises(LedgerRefused, match=rf"^trunk_in_use: trunk {trunk} has 2 caller numbers: remove them first$"):
        bank.admin.remove_trunk(trunk)
    for number in ("4930101", "4930102"):
        bank.admin.remove_caller_number(trunk, number)
    with pytest.raises(LedgerRefused, match=rf"^unknown_number: trunk {trunk} has no caller number 4930101$"):
        bank.admin.remove_caller_number(trunk, "4930101")
    bank.admin.remove_trunk(trunk)


def test_a_resellers_trunk_names_his_own_callers_alone(bank: Bank) -> None:
    """At any depth below him; nobody else's."""
    customer, _, top = bank.chain("0", "0", "0")
    stranger = bank.account(kind="card")
    trunk = f"trunk of reseller {top}"
    bank.admin.add_trunk(trunk, "caller_number", top, None)
    bank.admin.add_caller_number(trunk, "4930201", customer, None)
    with pytest.raises(LedgerRefused, match=rf"^foreign_account: account .* is not below the owner of trunk {trunk}$"):
        bank.admin.add_caller_number(trunk, "4930202", stranger, None)
    (listed,) = [one for one in bank.proxy.trunks() if one.name == trunk]
    assert top == listed.owner_account_id
    with pytest.raises(LedgerRefused, match=r"^invalid_parent: account .* is no reseller, so it cannot own trunk x$"):
        bank.admin.add_trunk("x", "ivr", stranger, None)
    bank.admin.remove_caller_number(trunk, "4930201")
    bank.admin.remove_trunk(trunk)


@pytest.mark.parametrize(
    "network",
    ["192.0.2.0", "192.0.2.0/33", "192.0.2.256/32", "2001:db8::/129", "here/24", "", "192.0.2.0/24 ", "192.0.2.0/-1"],
)
def test_a_network_that_is_none_is_refused(bank: Bank, network: str) -> None:
    """Named with its trunk."""
    trunk = f"no networks {new_key()}"
    bank.admin.add_trunk(trunk, "ivr", None, None)
    with pytest.raises(LedgerRefused) as refusal:
        bank.admin.add_trunk_network(trunk, network)
    assert f"trunk {trunk}: {network} is no network like 192.0.2.0/28" == refusal.value.message
    bank.admin.remove_trunk(trunk)


def test_every_level_pays_and_the_first_one_is_the_users(bank: Bank) -> None:
    """A user of a customer three levels down: four charges in one transaction."""
    chain = bank.chain("10", "10", "10", "10")
    user = bank.admin.create_user(chain[0], "101")
    key = bank.opened(chain, user_id=user)
    bank.proxy.answer_call(key, 0)
    settled = bank.proxy.settle_call(key, settlement(["0.40", "0.30", "0.20", "0.10"]))
    assert ["9.6", "9.7", "9.8", "9.9"] == [f"{leg.balance.normalize()}" for leg in settled.legs]
