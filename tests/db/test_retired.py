"""A node that never returns: what the reaper charged for its calls is made final, and nobody waits for it any more."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from pathlib import Path

import pymysql
import pytest

from billing import facts, settlement
from billing.errors import LedgerRefused
from billing.ledger_types import Retired
from billing.pricelist import rate_to_json
from billing.report_types import ExportedCdr
from billing.settings import load
from monitor import doctor_ledger
from stack.node import toml, write_private
from stack.processes import wait_until
from tests.db.bank import PASSWORDS, Bank, ago, new_key, refused
from tests.db.bank import settlement as told
from tests.db.test_calls import unopened
from tests.support.commands import Answer, run_here
from tests.unit.builders import rate

POLL_S = 0.25
"""innodb_trx is renewed only when nobody has read it for a tenth of a second."""


def gone(bank: Bank, name: str) -> str:
    """A node of which nothing was heard for an hour."""
    bank.proxy.heartbeat(name, None, f"first {name}", "one:/state")
    bank.sql("UPDATE node SET heartbeat_at = heartbeat_at - INTERVAL 1 HOUR WHERE name = %s", name)
    return name


def reaped(bank: Bank, node: str, *accounts: int) -> str:
    """A call of the node that the reaper charged: 1.20 for 120 s on every account."""
    key = bank.opened(accounts or (bank.account("10"),), node=node)
    bank.overdue(key)
    assert bank.proxy.reap_calls(node, 10) == [key]
    return key


def exported(bank: Bank, after: int) -> Iterator[ExportedCdr]:
    """All that the export has behind a position."""
    while batch := bank.cashier.export_cdrs(after):
        yield from batch
        after = batch[-1].position


def test_a_retired_nodes_calls_stay_charged_and_say_by_whom(bank: Bank) -> None:
    """How they ended stays visible; no money moves, other nodes' calls wait on, and the export publishes them again."""
    node, account = gone(bank, "burnt"), bank.account("10")
    key, other = reaped(bank, node, account), reaped(bank, "another", account)
    (before,) = [cdr for cdr in exported(bank, 0) if cdr.call_key == key]

    retired = bank.cashier.retire_node(node, "anna", "burnt down")

    assert ("retired", 1, "anna", "burnt down") == (
        retired.outcome, retired.accepted, retired.retired_by, retired.retired_reason,
    )  # fmt: skip
    (cdr,), (waits,) = bank.cashier.cdrs(call_key=key), bank.cashier.cdrs(call_key=other)
    assert (False, "lost_node", "accepted by anna: burnt down", 120, Decimal("1.2")) == (
        cdr.provisional, cdr.end_reason, cdr.detail, cdr.billed_s, cdr.legs[0].charge,
    )  # fmt: skip
    assert (True, "") == (waits.provisional, waits.detail)
    assert Decimal("7.6") == bank.purse(account)["balance"]
    (after,) = [cdr for cdr in exported(bank, before.position) if cdr.call_key == key]
    assert (before.version + 1, False) == (after.version, after.provisional)
    (row,) = bank.sql("SELECT actor, login, reason, node, told_at FROM v_accepted_call WHERE call_key = %s", key)
    assert ("anna", "burnt down", node, None) == (row["actor"], row["reason"], row["node"], row["told_at"])
    assert row["login"].startswith("meterline_cashier@")


def test_the_journal_of_a_retired_node_moves_nothing_and_is_kept(bank: Bank) -> None:
    """The first settlement wins: a later one gets its result. What it would have cost waits for a person."""
    account = bank.account("10")
    key = reaped(bank, gone(bank, "returning"), account)
    bank.sql("UPDATE cdr_leg SET rate = %s WHERE call_key = %s", rate_to_json(rate("0.6")), key)
    bank.cashier.retire_node("returning", "anna", "stolen")
    bank.cashier.refund(new_key(), account, "1.00", "anna", "one-way audio", key)

    fact = facts.ended(key, 10_000, "caller", None)
    outcomes = [settlement.apply(bank.proxy, fact) for _ in range(2)]
    later = bank.proxy.settle_call(key, told(["0.7"], billed_s=70))

    assert ["accepted", "accepted"] == outcomes
    assert ("accepted", Decimal("1.2")) == (later.outcome, later.legs[0].charge)
    assert Decimal("9.8") == bank.purse(account)["balance"]
    assert ["refund", "call", "top_up"] == [entry.kind for entry in bank.cashier.entries(account_id=account)]
    (row,) = bank.sql("SELECT * FROM v_accepted_call WHERE call_key = %s", key)
    assert ("answered", 10_000, 10, '[{"leg": 0, "charge": "0.1"}]') == (
        row["told_result"], row["told_talked_ms"], row["told_billed_s"], row["told_legs"],
    )  # fmt: skip
    (cdr,) = bank.cashier.cdrs(call_key=key)
    assert ("lost_node", 120) == (cdr.end_reason, cdr.billed_s)


def test_a_node_that_tells_of_a_call_that_never_connected_is_heard_too(bank: Bank) -> None:
    """The fact of a caller who was refused: kept, once, and in nobody's way."""
    account = bank.account("10")
    key = reaped(bank, "cut off", account)
    bank.sql("UPDATE cdr_leg SET rate = %s WHERE call_key = %s", rate_to_json(rate("0.6")), key)
    bank.cashier.accept_cdr(key, "anna", "gone")

    outcomes = [settlement.apply(bank.proxy, unopened(key, account)) for _ in range(2)]

    assert ["accepted", "already"] == outcomes
    (row,) = bank.sql("SELECT * FROM v_accepted_call WHERE call_key = %s", key)
    assert ("billing_unavailable", 0) == (row["told_result"], row["told_talked_ms"])
    assert Decimal("8.8") == bank.purse(account)["balance"]


def test_a_node_that_may_be_alive_is_not_retired(bank: Bank) -> None:
    """For a minute after it was last heard of, the time after which the doctor calls it silent."""
    node = gone(bank, "quick")
    bank.sql("UPDATE node SET heartbeat_at = UTC_TIMESTAMP(6) - INTERVAL 50 SECOND WHERE name = %s", node)

    with pytest.raises(LedgerRefused, match="node_alive: node quick was heard of 5"):
        bank.cashier.retire_node(node, "anna", "slow")

    (row,) = [one for one in bank.cashier.nodes() if one.name == node]
    assert row.retired_at is None


def test_a_node_with_calls_in_progress_is_not_retired(bank: Bank) -> None:
    """The reaper takes them first; nothing is accepted before."""
    node, account = gone(bank, "busy"), bank.account("10")
    key = reaped(bank, node, account)
    live = bank.opened([account], node=node)

    with pytest.raises(LedgerRefused, match="calls_in_progress: node busy has 1 calls"):
        bank.cashier.retire_node(node, "anna", "dead")

    assert bank.cashier.cdrs(call_key=key)[0].provisional
    assert "calls_in_progress" == refused(lambda: bank.cashier.accept_cdr(live, "anna", "dead"))
    bank.give_up(live)
    assert 1 == bank.cashier.retire_node(node, "anna", "dead").accepted


@pytest.mark.parametrize(("node", "actor", "reason", "token"), [
    ("nobody's", "anna", "dead", "unknown_node"),
    ("idle", " ", "dead", "invalid_content"),
    ("idle", "anna", "", "invalid_content"),
])  # fmt: skip
def test_what_cannot_be_retired_is_named(bank: Bank, node: str, actor: str, reason: str, token: str) -> None:
    """And nothing changes."""
    gone(bank, "idle")

    assert token == refused(lambda: bank.cashier.retire_node(node, actor, reason))
    assert not bank.sql("SELECT 1 FROM node WHERE name = 'idle' AND retired_at IS NOT NULL")


def test_a_node_is_retired_once_and_its_later_calls_too(bank: Bank) -> None:
    """Again it answers with who did it first; a call that was reaped since is accepted."""
    node = gone(bank, "twice retired")
    first = bank.cashier.retire_node(node, "anna", "dead")
    key = reaped(bank, node)

    again = bank.cashier.retire_node(node, "bert", "still dead")

    assert Retired("already", 1, first.retired_at, "anna", "dead") == again
    assert "accepted by bert: still dead" == bank.cashier.cdrs(call_key=key)[0].detail


def test_a_retired_node_that_returns_is_alive_again(bank: Bank) -> None:
    """As whoever claims the name then, and with no trace of it but the answer; what it saw before is forgotten."""
    node = gone(bank, "phoenix")
    carrier = bank.admin.create_carrier(f"carrier of {node}", "192.0.2.7")
    bank.proxy.note_carriers(node, {carrier: "down"})
    bank.cashier.retire_node(node, "anna", "dead")
    assert not bank.sql("SELECT 1 FROM carrier_state WHERE node = %s", node)

    first, second = (bank.proxy.heartbeat(node, 1000, "second life", "two:/state") for _ in range(2))

    assert ("alive", "second life", "anna") == (first.outcome, first.instance, first.retired_by)
    assert ("alive", None) == (second.outcome, second.retired_by)
    (row,) = [one for one in bank.cashier.nodes() if one.name == node]
    assert (None, None, None) == (row.retired_at, row.retired_by, row.retired_reason)


def test_a_call_is_accepted_by_itself(bank: Bank) -> None:
    """Once, whoever says so again; a call whose end is known has nothing to accept."""
    key, settled = reaped(bank, "cut off"), bank.opened([bank.account("10")])
    bank.give_up(settled)

    first, again = (bank.cashier.accept_cdr(key, actor, "for a refund") for actor in ("anna", "bert"))

    assert ("accepted", "already", "anna") == (first.outcome, again.outcome, again.actor)
    assert first.accepted_at == again.accepted_at
    assert ["call_settled", "unknown_call", "invalid_key", "invalid_content"] == [
        refused(lambda ask=ask: bank.cashier.accept_cdr(*ask))
        for ask in (
            (settled, "anna", "why"), (new_key(), "anna", "why"), ("x", "anna", "why"), (key, "anna", " "),
        )
    ]  # fmt: skip


def test_a_refund_of_a_provisional_call_waits_until_it_is_accepted(bank: Bank) -> None:
    """Else its node would refund it again. It is known by its key, in the reference or the reason, in any case."""
    account, stranger = bank.account("10"), bank.account("10")
    key, refund = reaped(bank, "cut off", account), new_key()
    asked: list[Callable[[], object]] = [
        lambda: bank.cashier.refund(refund, account, "1", "anna", "one-way audio", key),
        lambda: bank.cashier.refund(refund, account, "1", "anna", f"call {key.lower()}, one-way audio", "ticket 4711"),
        lambda: bank.cashier.adjust(refund, account, "1", "anna", "one-way audio", key),
    ]
    assert ["call_provisional"] * 3 == [refused(ask) for ask in asked]
    bank.cashier.refund(new_key(), stranger, "1", "anna", "for his patience", key)

    bank.cashier.accept_cdr(key, "anna", "one-way audio")

    booked = [bank.cashier.refund(refund, account, "1", "anna", "one-way audio", key) for _ in range(2)]
    assert [Decimal("9.8")] * 2 == [one.balance for one in booked]


def test_accepted_calls_are_archived(bank: Bank) -> None:
    """As all others; who accepted them stays."""
    node = gone(bank, "archived")
    account = bank.account("10")
    key = reaped(bank, node, account)
    bank.sql("UPDATE cdr SET ended_at = ended_at - INTERVAL 90 DAY, settled_at = settled_at - INTERVAL 90 DAY"
             " WHERE call_key = %s", key)  # fmt: skip
    bank.sql("UPDATE entry SET created_at = created_at - INTERVAL 90 DAY WHERE account_id = %s", account)
    bank.sql("UPDATE purse SET spent = 0 WHERE account_id = %s", account)
    before = ago(days=60)
    assert (0, 1) == (bank.cashier.archivable(before).calls, bank.cashier.archivable(before).provisional)

    bank.cashier.retire_node(node, "anna", "dead")
    moved = sum(batch.calls for batch in bank.admin.archive(before, 500))

    assert 1 == moved
    (cdr,) = bank.cashier.cdrs(call_key=key, archived=True)
    assert ("lost_node", "accepted by anna: dead") == (cdr.end_reason, cdr.detail)
    assert "already" == bank.cashier.accept_cdr(key, "anna", "again").outcome
    assert "already" == bank.proxy.settle_call(key, told(["0.1"], billed_s=10)).outcome
    assert "nothing_to_settle" == settlement.apply(bank.proxy, facts.ended(key, 10_000, "caller", None))


def test_how_many_calls_each_node_has(bank: Bank) -> None:
    """In progress, and charged provisionally."""
    account = bank.account("10")
    reaped(bank, "counted", account)
    live = bank.opened([account], node="counted")
    assert (1, 1) == bank.cashier.calls_by_node()["counted"]
    bank.give_up(live)
    assert "never seen" not in bank.cashier.calls_by_node()


def waiting(bank: Bank) -> set[str]:
    """Transactions that wait for a lock; also such as did so a moment ago."""
    rows = bank.sql("SELECT trx_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")
    return {str(row["trx_id"]) for row in rows}


@pytest.mark.parametrize("whole_node", [False, True])
def test_what_is_told_while_a_call_is_accepted_comes_first(bank: Bank, whole_node: bool) -> None:
    """The truth was under way: it is waited for, and then there is nothing to accept."""
    node = gone(bank, f"late {whole_node}")
    key = reaped(bank, node)

    def retire() -> str:
        return str(bank.cashier.retire_node(node, "anna", "dead").accepted)

    def accept() -> str:
        return refused(lambda: bank.cashier.accept_cdr(key, "anna", "dead"))

    other = pymysql.connect(**bank.server.admin_params(), database=bank.database)
    with other.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        cursor.execute("UPDATE cdr SET provisional = FALSE WHERE call_key = %s", (key,))  # as settle_provisional does
        before = waiting(bank)
        asked = pool.submit(retire if whole_node else accept)
        wait_until(lambda: bool(waiting(bank) - before), 10, "it waits for the truth", POLL_S)
        other.commit()
        assert ("0" if whole_node else "call_settled") == asked.result(10)
    other.close()
    assert not bank.sql("SELECT 1 FROM accepted_call WHERE call_key = %s", key)
    assert "" == bank.cashier.cdrs(call_key=key)[0].detail


@pytest.fixture
def settings(bank: Bank, tmp_path: Path) -> Path:
    """Of a node beside the tests' ledger."""
    passwords = {f"{role}_password": password for role, password in PASSWORDS.items()}
    content = {
        "database": {"socket": str(bank.server.socket), "name": bank.database, **passwords},
        "node": {"name": "node1", "state_dir": str(tmp_path)},
        "sip": {"realm": "meterline.test", "listen": ["udp:127.0.0.1:5060"]},
    }
    write_private(tmp_path / "meterline.toml", toml({"card_pin_key": "k" * 32}, content))
    return tmp_path / "meterline.toml"


@pytest.fixture
def meterline(settings: Path) -> Callable[..., Answer]:
    return partial(run_here, settings)


def test_a_node_is_retired_from_the_command_line(bank: Bank, meterline: Callable[..., Answer]) -> None:
    """It is listed before and after, for people and programs; what is refused is one line that names it."""
    node = gone(bank, "of the shell")
    reaped(bank, node)
    bank.proxy.heartbeat("lively", 0)

    def listed() -> dict[str, tuple[object, ...]]:
        fields = ("state", "live_calls", "provisional_calls", "retired_reason")
        return {one["name"]: tuple(one[field] for field in fields) for one in meterline("node", "list", "--json").json}

    before = listed()
    done = meterline("node", "retire", node, "--reason", "sold")
    again = meterline("node", "retire", node, "--reason", "sold", "--json").json

    assert (("silent", 0, 1, None), ("alive", 0, 0, None)) == (before[node], before["lively"])
    assert ("retired", 0, 0, "sold") == listed()[node]
    assert Answer(0, f"{node}: retired; 1 calls stay charged as they are\n", "") == done
    assert ("already", 0, "sold") == (again["outcome"], again["accepted"], again["retired_reason"])
    assert {"retired", "sold"} <= set(meterline("node", "list").output.replace("│", " ").split())
    refusal = meterline("node", "retire", "lively", "--reason", "why")
    assert (1, 1) == (refusal.code, refusal.complaint.count("\n"))
    assert "node lively was heard of" in refusal.complaint


def test_a_call_is_accepted_from_the_command_line(bank: Bank, meterline: Callable[..., Answer]) -> None:
    """By its key in any case."""
    key = reaped(bank, "cut off")
    assert f"{key}: its charge was made final\n" == meterline("cdrs", "accept", key.lower(), "--reason", "x").output
    again = meterline("cdrs", "accept", key, "--reason", "y").output
    assert f"{key}: its charge was made final before, by cli:" in again
    assert (1, True) == ((answer := meterline("cdrs", "accept", "X", "--reason", "y")).code, '"X"' in answer.complaint)


def test_the_doctor_waits_for_no_retired_node(bank: Bank, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how to be rid of a silent one, and of its provisional calls."""
    monkeypatch.setenv("METERLINE_SETTINGS", str(settings))
    node = gone(bank, "of the doctor")
    reaped(bank, node)

    def said() -> list[tuple[str, str]]:
        found = doctor_ledger.nodes(load())
        return [(one.level, one.remedy) for one in found if node in one.text or "provisionally" in one.text]

    silent, provisional = said()
    bank.cashier.retire_node(node, "anna", "dead")

    assert ("warn", f"node retire {node} " in silent[1]) == (silent[0], True)
    assert ("warn", "node list" in provisional[1]) == (provisional[0], True)
    assert ("ok", "") == said()[0]
