"""What must hold: after every step of a history, and at its end, when everything that can come back has."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

from billing import facts
from kemi import dialogs
from tests.model.faults import Broken
from tests.model.place import CARRIER_PRICE, EXPIRES_DAYS

if TYPE_CHECKING:
    from tests.model.cast import Call, Place
    from tests.model.history import History

LATE_MS = 1_000
"""The BYEs leave within a second after the deadline."""
BACKSTOP_MS = 1_000 * dialogs.BACKSTOP_S
"""The dialog timer, which cuts when the cutter does not know the call, is that far behind."""

PRICES = {
    ("49", 0): ("0", "0.01", 1), ("49", 1): ("0", "0.005", 1),
    ("44", 0): ("0.05", "0.02", 6), ("44", 1): ("0", "0.01", 1),
}  # fmt: skip
"""Destination and leg to connect fee, a second's price and increment: the tariffs of every history."""


KEYS = {"purse": "account_id", "card": "account_id", "account": "id"}


def counted(destination: str, leg: int, seconds: int) -> int:
    """Whole increments."""
    increment = PRICES[destination, leg][2]
    return int((Decimal(seconds) / increment).to_integral_value(ROUND_CEILING) * increment)


def cost(destination: str, leg: int, seconds: int, covered_s: int = 0) -> Decimal:
    """What so many seconds cost, by hand, when minute bundles pay for the first of them."""
    fee, price, _ = PRICES[destination, leg]
    if not seconds:
        return Decimal(0)
    return Decimal(fee) + max(0, counted(destination, leg, seconds) - covered_s) * Decimal(price)


def covered(place: Place, leg: dict[str, Any]) -> int:
    """The seconds of minute bundles that a leg held at its call's end."""
    sql = "SELECT COALESCE(SUM(held_s), 0) AS held_s FROM cdr_bundle WHERE call_key = %s AND leg = %s"
    return int(place.sql(sql, leg["call_key"], leg["leg"])[0]["held_s"])


def must(holds: object, what: str) -> None:
    if not holds:
        raise Broken(what)


def empty(place: Place) -> None:
    """A ledger in which nothing has happened."""
    for table, rows in place.beginning.items():
        if not rows:
            place.sql(f"DELETE FROM {table}")
        for row in rows:
            values = {name: value for name, value in row.items() if name not in ("id", "account_id")}
            changes = ", ".join(f"{name} = %s" for name in values)
            place.sql(f"UPDATE {table} SET {changes} WHERE {KEYS[table]} = %s", *values.values(), row["id"])


def always(history: History) -> None:
    """After every step: the books are right, nobody is below zero, nothing is held for a call that nobody made."""
    differences = audit(history.place)
    must(not differences, f"the audit finds {differences}")
    below = history.place.sql("SELECT * FROM purse WHERE balance + credit_limit - held < 0 OR held < 0")
    must(not below, f"less than nothing: {below}")
    known = {call.key for call in history.calls}
    for row in history.place.sql("SELECT call_key FROM live_call UNION SELECT call_key FROM cdr WHERE grant_s > 0"):
        must(row["call_key"] in known, f"nobody made call {row['call_key']}")
    _logs(history)


def audit(place: Place) -> list[dict[str, Any]]:
    with place.root.cursor() as cursor:
        cursor.execute("CALL audit()")
        found = list(cursor.fetchall())
        while cursor.nextset():
            pass
    return found


def _logs(history: History) -> None:
    early = history.place.sql(
        "SELECT call_key FROM cdr WHERE provisional AND settled_at < ended_at + INTERVAL 30 SECOND"
    )
    must(not early, f"reaped before its time: {early}")
    must(not history.log, f"a log says {history.log}")


def at_the_end(history: History) -> None:
    """Each call has its CDR and its price, each movement of money one effect, and nothing is held or waits."""
    always(history)
    place = history.place
    left = place.sql("SELECT call_key, node, state FROM live_call")
    must(not left, f"still live: {left}")
    held = place.sql("SELECT * FROM purse WHERE held <> 0 OR calls <> 0")
    must(not held, f"still held: {held}")
    for node in history.nodes:
        if not node.dead:
            assert node.drain is not None
            waiting = node.drain._reader.entries()
            must(not waiting, f"{node.name}: still in the journal: {waiting}")
        must(not (node.folder / "journal" / "refused.log").exists(), f"{node.name}: a fact was refused")
    for call in history.calls:
        if call.key:
            _call(history, call)
    _money(history)
    _cards(history)


def _call(history: History, call: Call) -> None:
    sql = "SELECT * FROM cdr WHERE call_key = %s"
    cdrs = history.place.sql(sql, call.key)
    legs = history.place.sql("SELECT * FROM cdr_leg WHERE call_key = %s ORDER BY leg", call.key)
    written = call.node.written.get(call.key, set())
    lost = call.unsure or call.node.dead
    if not cdrs:
        must(call.state == "gone" or (call.state in ("refused", "over") and lost), f"{call} ({call.key}) has no CDR")
        must(call.answered_ms is None, f"{call} was connected and has no CDR")
        history.seen.update(["cdr: none"])
        return
    (cdr,) = cdrs
    if not legs:
        must(call.answered_ms is None, f"{call} was connected, and its CDR has no legs: {cdr}")
        history.seen.update(["cdr: never opened"])
        return
    _attempts(history, call, cdr)
    must(len(legs) == len(history.place.users[call.user]), f"{call}: legs {legs}")
    for leg in legs:
        covered_s = covered(history.place, leg)
        whole = cost(call.destination, leg["leg"], cdr["grant_s"], covered_s)
        history.seen.update(["bundle: whole" if whole == 0 else "bundle: part"] if covered_s else ["bundle: none"])
        must(0 <= leg["charge"] <= whole == leg["hold"], f"{call} leg {leg['leg']}: {leg}, held at most {whole}")
    if cdr["provisional"]:
        must(lost, f"{call} is provisional, and its node knows the truth: {cdr}, {written}")
        must(all(leg["charge"] == leg["hold"] for leg in legs), f"{call}: provisional, and not the whole grant: {legs}")
        used = all(leg["bundle_s"] == covered(history.place, leg) for leg in legs)
        must(used, f"{call}: provisional, and bundle seconds came back: {legs}")
        history.seen.update(["cdr: provisional"])
    elif call.unsure:
        history.seen.update(["cdr: unsure"])
    else:
        _exact(history, call, cdr, legs)


def _attempts(history: History, call: Call, cdr: dict[str, Any]) -> None:
    """Of two carriers one may have failed before the call went on: known once its fact is in the ledger, and not the
    one that the CDR names."""
    if call.unsure or call.node.dead:
        return
    rows = history.place.sql("SELECT ordinal, carrier_id, sip_code FROM attempt WHERE call_key = %s", call.key)
    told = facts.ATTEMPT in call.node.written.get(call.key, set())
    must([(row["ordinal"], row["sip_code"]) for row in rows] == [(1, 0)] * told, f"{call}: attempts {rows}, {told}")
    must(cdr["carrier_id"] not in {row["carrier_id"] for row in rows}, f"{call}: {rows} are not before {cdr}")
    history.seen.update(["attempt: failed"] if rows else ["attempt: none"])


def _exact(history: History, call: Call, cdr: dict[str, Any], legs: list[dict[str, Any]]) -> None:
    """Nobody died at the wrong moment: the CDR is what the phones heard, and the price is worked out by hand."""
    if call.answered_ms is None:
        talked_ms, kind = 0, "free"
    else:
        must(call.over_ms is not None, f"{call} was connected, never ended, and has its CDR: {cdr}")
        assert call.over_ms is not None
        talked_ms, kind = max(1, call.over_ms - call.answered_ms), "exact"
        deadline_ms = max(call.answered_ms + cdr["grant_s"] * 1000, call.node.started_ms)
        late_ms = LATE_MS + (BACKSTOP_MS if call.node.disturbed else 0)
        must(call.over_ms <= deadline_ms + late_ms, f"{call} talked {call.over_ms - deadline_ms} ms past its deadline")
    billed_s = min(-(-talked_ms // 1000), cdr["grant_s"])
    must((talked_ms, billed_s) == (cdr["talked_ms"], cdr["billed_s"]), f"{call} talked {talked_ms} ms: {cdr}")
    if cdr["carrier_tariff_id"] is not None:
        asked = Decimal(CARRIER_PRICE) * -(-talked_ms // 1000)
        must(asked == cdr["carrier_cost"], f"{call}: its carrier asks {asked} for {talked_ms} ms: {cdr}")
        history.seen.update(["carrier: asked" if asked else "carrier: free"])
    for leg in legs:
        covered_s = covered(history.place, leg)
        charge = cost(call.destination, leg["leg"], billed_s, covered_s)
        must(charge == leg["charge"], f"{call} leg {leg['leg']}: {billed_s} s cost {charge}, charged {leg['charge']}")
        used_s = min(covered_s, counted(call.destination, leg["leg"], billed_s))
        must(used_s == leg["bundle_s"], f"{call}: {billed_s} s use {used_s} s of bundles: {leg}")
    history.seen.update([f"cdr: {kind}", f"ended: {cdr['end_reason'] or cdr['result']}"])


def _money(history: History) -> None:
    place = history.place
    expected = dict.fromkeys(place.accounts.values(), Decimal(0))
    for movement in history.movements:
        rows = place.sql("SELECT * FROM entry WHERE entry_key = %s", movement.key)
        if movement.answer is not None or rows:
            must(len(rows) == len(movement.accounts), f"{movement} has entries {rows}")
            signs = (-1, 1) if movement.kind == "transfer" else (1,)
            for account, sign in zip(movement.accounts, signs, strict=True):
                expected[account] += sign * movement.amount
        answers = movement.answer if isinstance(movement.answer, tuple) else (movement.answer,)
        for answer in answers:
            if answer is not None:
                own = [row for row in rows if row["account_id"] == answer.account_id]
                found = [(row["amount"], row["balance_after"]) for row in own]
                must(found == [(answer.amount, answer.balance)], f"{movement} is {found} in the ledger")
    charges = place.sql("SELECT account_id, SUM(charge) AS charge FROM cdr_leg GROUP BY account_id")
    for row in charges:
        expected[row["account_id"]] -= row["charge"]
    balances = {row["account_id"]: row["balance"] for row in place.sql("SELECT account_id, balance FROM purse")}
    must(expected == balances, f"balances are {balances} and ought to be {expected}")


def _cards(history: History) -> None:
    """A card of a batch is used from its first call on, and its days count from then; one that nobody used is whole."""
    sql = (
        "SELECT card.account_id, card.first_used_at, purse.unused, account.expires_at FROM card"
        " JOIN purse ON purse.account_id = card.account_id JOIN account ON account.id = card.account_id"
    )
    for card in history.place.sql(sql):
        calls = history.place.sql(
            "SELECT talked_ms > 0 AS talked, answered_at IS NOT NULL OR provisional AS answered FROM cdr"
            " WHERE account_id = %s", card["account_id"],
        )  # fmt: skip
        used_at = card["first_used_at"]
        must((used_at is None) == bool(card["unused"]), f"used or not: {card}")
        must(not card["unused"] or not any(call["talked"] for call in calls), f"talked, and unused: {card}")
        answered = any(call["answered"] for call in calls) or _unsure(history, card)
        must(used_at is None or answered, f"nobody used it: {card}")
        day = None if used_at is None else used_at.replace(hour=0, minute=0, second=0, microsecond=0)
        expires_at = None if day is None else day + timedelta(days=EXPIRES_DAYS + 1)
        must(expires_at == card["expires_at"], f"expires at {expires_at}: {card}")
        history.seen.update(["card: unused" if used_at is None else "card: used"])


def _unsure(history: History, card: dict[str, Any]) -> bool:
    """Whether a call of this card was answered in the moment of a kill: it may turn out to have reached nobody."""
    accounts = history.place.accounts
    return any(
        call.unsure and accounts[history.place.users[call.user][0]] == card["account_id"] for call in history.calls
    )
