"""Calls: who is calling, and open, answer, extend, settle, record and reap, one routine each."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby

from billing.ledger_rows import clean, content, record, utc
from billing.ledger_session import LedgerSession, Row
from billing.ledger_types import (
    BundleRow,
    Caller,
    CallRecord,
    CallToSettle,
    CarrierRate,
    ChargedLeg,
    Claim,
    ExtendAnswer,
    HeldLeg,
    Leg,
    LiveCall,
    LiveLeg,
    OpenAnswer,
    OpenLeg,
    OpenRequest,
    RatedLeg,
    RateRow,
    Reaped,
    SettleAnswer,
    Settlement,
    Uncosted,
)
from billing.money import format_amount

RATE_PREFIX_DIGITS_MAX = 20


class CallsLedger(LedgerSession):
    """What a proxy asks of the ledger. A call key is a ULID that the proxy made; each method may be called again with
    the same key, and must be after LedgerUnavailable."""

    # --- who, and at which rates --------------------------------------------------------------------------------------

    def identify_digest(self, username: str, realm: str) -> Caller | None:
        """The user with this SIP user name and realm, with the HA1s to compare with."""
        found = _caller(self._call("identify_digest", clean(username), clean(realm)))
        return found if found and found.ha1_md5 else None  # without: somebody else's chain, for the time it takes

    def identify_card(self, number: str) -> Caller | None:
        """The card with this number, with the hash to compare its PIN's with."""
        found = _caller(self._call("identify_card", clean(number)))
        return found if found and found.pin_hash else None  # without: some other card's chain

    def identify_caller_number(self, trunk_id: int, number: str) -> Caller | None:
        """The user or card that this number (E.164 digits) belongs to on a trunk for caller numbers."""
        return _caller(self._call("identify_caller_number", trunk_id, clean(number)))

    def identify_user(self, user_id: int) -> Caller | None:
        """A user by id: the owner of a customer's trunk."""
        return _caller(self._call("identify_user", user_id))

    def identify_account(self, account_id: int) -> Caller | None:
        """An account by id."""
        return _caller(self._call("identify_account", account_id))

    def rates_for(self, tariff_id: int, digits: str) -> list[RateRow]:
        """Every rate of the tariff whose prefix begins `digits`, of any time."""
        return self.rates_of([tariff_id], digits)

    def rates_of(self, tariff_ids: Sequence[int], digits: str) -> list[RateRow]:
        """The same of several tariffs, in one round trip."""
        prefixes = [digits[:length] for length in range(1, min(len(digits), RATE_PREFIX_DIGITS_MAX) + 1)]
        if not prefixes or not tariff_ids:
            return []
        tariffs, places = ", ".join(["%s"] * len(tariff_ids)), ", ".join(["%s"] * len(prefixes))
        sql = f"SELECT * FROM v_rate WHERE tariff_id IN ({tariffs}) AND prefix IN ({places})"  # nosec B608  # noqa: S608 - places only
        rows = self._select(sql, *tariff_ids, *prefixes)
        return [record(RateRow, row, blocked=bool(row["blocked"])) for row in rows]

    def bundles_for(self, account_ids: Sequence[int], digits: str) -> list[BundleRow]:
        """Every prefix that begins `digits` of the minute bundles that these accounts have now or will have."""
        prefixes = [digits[:length] for length in range(1, min(len(digits), RATE_PREFIX_DIGITS_MAX) + 1)]
        if not prefixes or not account_ids:
            return []
        accounts, places = ", ".join(["%s"] * len(account_ids)), ", ".join(["%s"] * len(prefixes))
        sql = f"SELECT * FROM v_bundle_prefix WHERE account_id IN ({accounts}) AND prefix IN ({places})"  # nosec B608  # noqa: S608 - places only
        rows = self._select(sql, *account_ids, *prefixes)
        return [record(BundleRow, row, excluded=bool(row["excluded"]), left_s=int(row["left_s"])) for row in rows]

    # --- a call's life ------------------------------------------------------------------------------------------------

    def open_call(self, call_key: str, request: OpenRequest) -> OpenAnswer:
        """Hold the first grant of a call on every leg, all or nothing. A refusal is an answer, and is not stored.

        Raises KeyConflict for a key that was opened with another request.
        """
        rows = self._call("open_call", call_key, _open_content(request))
        return OpenAnswer(rows[0]["outcome"], rows[0]["failed_leg"], rows[0]["grant_s"] or 0, _held(rows))

    def answer_call(
        self, call_key: str, answered_ago_ms: int, sip_to_tag: str | None = None, carrier_id: int | None = None
    ) -> str:
        """The callee answered so long ago. 'answered', 'settled' or 'unknown_call'."""
        to_tag = None if sip_to_tag is None else clean(sip_to_tag)
        return str(self._call("answer_call", call_key, answered_ago_ms, to_tag, carrier_id)[0]["outcome"])

    def extend_call(
        self,
        call_key: str,
        old_grant_s: int,
        new_grant_s: int,
        holds: Mapping[int, Decimal],
        offers: Mapping[int, Sequence[tuple[int, Decimal]]] | None = None,
    ) -> ExtendAnswer:
        """Lengthen a grant from `old_grant_s` to `new_grant_s`; `holds`: leg to money, absolute, every leg.

        `offers`: for legs whose minute bundles may grow, (bundle seconds, money) instead, absolute, most seconds first;
        the first whose seconds are left is taken.
        """
        legs: list[dict[str, object]] = []
        for leg, hold in sorted(holds.items()):
            offered = {"offers": _offered(offers[leg])} if offers and leg in offers else {}
            legs.append({"leg": leg, "hold": format_amount(hold), **offered})
        rows = self._call("extend_call", call_key, old_grant_s, new_grant_s, json.dumps(legs))
        return ExtendAnswer(rows[0]["outcome"], rows[0]["failed_leg"], rows[0]["grant_s"] or 0, _held(rows))

    def settle_call(self, call_key: str, settlement: Settlement) -> SettleAnswer:
        """Charge a call for what was talked and write its CDR. The first settlement wins."""
        legs = [
            {"leg": leg, "charge": format_amount(charge)}
            | ({"bundle_s": settlement.bundle_s[leg]} if leg in settlement.bundle_s else {})
            for leg, charge in sorted(settlement.charges.items())
        ]
        cost = None if settlement.carrier_cost is None else format_amount(settlement.carrier_cost)
        own = {"legs": legs, "carrier_cost": cost}
        text = json.dumps(content(settlement, {"carrier_id": "carrier"}) | own)
        rows = self._call("settle_call", call_key, text)
        charged = tuple(record(ChargedLeg, row) for row in rows if row["leg"] is not None)
        return SettleAnswer(rows[0]["outcome"], rows[0]["grant_s"] or 0, charged)

    def record_call(self, call_key: str, call: CallRecord) -> str:
        """Write the CDR of a call that never opened; then it cannot open. 'recorded', 'already' or 'live'."""
        names = {"account_id": "account", "user_id": "user", "carrier_id": "carrier"}
        return str(self._call("record_call", call_key, json.dumps(content(call, names)))[0]["outcome"])

    def record_attempt(self, call_key: str, ordinal: int, carrier_id: int, sip_code: int, failed_ago_ms: int) -> str:
        """A carrier failed the call so long ago, and the next one was tried. 'recorded', 'already' or
        'unknown_call'."""
        answer = self._call("record_attempt", call_key, ordinal, carrier_id, sip_code, failed_ago_ms)
        return str(answer[0]["outcome"])

    def reap_calls(self, node: str | None, limit: int) -> list[str]:
        """Settle at their whole grants the calls of a node (None: of all) that nobody settled in time; their keys."""
        return [str(row["call_key"]) for row in self._call("reap_calls", node, limit)]

    def uncosted_calls(self) -> list[Uncosted]:
        """Calls that the reaper charged and whose carrier's cost nobody has worked out yet."""
        rows = self._select(
            "SELECT call_key, grant_s, rated_at, carrier_rate FROM v_cdr"
            " WHERE provisional AND carrier_rate IS NOT NULL AND carrier_cost IS NULL"
        )
        return [record(Uncosted, row) for row in rows]

    def set_carrier_cost(self, call_key: str, cost: Decimal) -> None:
        """What the carrier asks for the whole grant of such a call."""
        self._call("set_carrier_cost", call_key, format_amount(cost))

    def forget_counts(self) -> None:
        """Remove counts of hours that are over, and alarms of long ago."""
        self._call("forget_counts")

    def heartbeat(self, node: str, up_ms: int | None = None, instance: str | None = None, place: str = "") -> Claim:
        """An instance of the node is alive, and has been for `up_ms`. Answers whose the node's name is."""
        return record(Claim, self._call("heartbeat", node, up_ms, instance, clean(place))[0])

    def instance_of(self, node: str) -> str | None:
        """The instance that the node's name belongs to; None before its first heartbeat."""
        rows = self._select("SELECT instance FROM v_node WHERE name = %s", node)
        return rows[0]["instance"] if rows else None

    # --- calls in progress --------------------------------------------------------------------------------------------

    def live_call(self, call_key: str) -> LiveCall | None:
        """A call in progress with its legs, or None."""
        return next(iter(self._live("call_key = %s", call_key)), None)

    def live_calls(self, node: str | None = None, due_within_s: float | None = None) -> list[LiveCall]:
        """Calls in progress (of a node), those first whose funding ends first.

        With `due_within_s` only answered ones whose grant ends within that time, or has ended.
        """
        where, args = ("TRUE", []) if node is None else ("node = %s", [node])
        if due_within_s is None:
            return self._live(where, *args)
        due = "state = 'answered' AND hold_until <= UTC_TIMESTAMP(6) + INTERVAL %s MICROSECOND"
        return self._live(f"{where} AND {due}", *args, round(due_within_s * 1_000_000))

    def unanswered_calls(self, node: str) -> list[LiveCall]:
        """Calls of a node that the ledger believes to be ringing."""
        return self._live("node = %s AND state = 'open'", node)

    def reaped_calls(self, node: str) -> list[Reaped]:
        """Calls of a node that the reaper charged, and of which nobody has told the truth yet."""
        rows = self._select(
            "SELECT call_key, sip_call_id,"
            " TIMESTAMPDIFF(MICROSECOND, opened_at, UTC_TIMESTAMP(6)) DIV 1000 AS opened_ago_ms,"
            " TIMESTAMPDIFF(MICROSECOND, answered_at, UTC_TIMESTAMP(6)) DIV 1000 AS answered_ago_ms"
            " FROM v_cdr WHERE provisional AND node = %s",
            node,
        )
        return [record(Reaped, row) for row in rows]

    def call_to_settle(self, call_key: str) -> CallToSettle | None:
        """What is needed to charge a call whose end the ledger does not know; None if there is nothing to settle."""
        live = self.live_call(call_key)
        routes = self._live_routes(call_key) if live is not None and live.routed else {}
        if live is not None and (routes or not live.routed):  # or it was reaped between the two looks
            rated = tuple(RatedLeg(leg.leg, leg.account_id, leg.rate_json, leg.covered_s) for leg in live.legs)
            return CallToSettle(call_key, live.grant_s, live.rated_at, False, rated, live.carrier_id, routes)  # noqa: FBT003
        rows = self._select(
            "SELECT cdr.grant_s, cdr.rated_at, cdr.carrier_id, cdr.routes, leg.leg, leg.account_id,"
            " leg.rate AS rate_json, leg.bundle_s AS covered_s"
            " FROM v_cdr AS cdr JOIN v_cdr_leg AS leg ON leg.call_key = cdr.call_key"
            " LEFT JOIN v_accepted_call AS accepted ON accepted.call_key = cdr.call_key"
            " WHERE cdr.call_key = %s AND (cdr.provisional OR accepted.call_key IS NOT NULL) ORDER BY leg.leg",
            call_key,
        )
        if not rows:
            return None
        return CallToSettle(
            call_key,
            rows[0]["grant_s"],
            utc(rows[0]["rated_at"]),
            provisional=True,
            legs=tuple(record(RatedLeg, row) for row in rows),
            carrier_id=rows[0]["carrier_id"],
            routes=_routes(rows[0]["routes"]),
        )

    def _live_routes(self, call_key: str) -> dict[int, CarrierRate]:
        rows = self._select("SELECT routes FROM v_live_route WHERE call_key = %s", call_key)
        return _routes(rows[0]["routes"]) if rows else {}

    def _live(self, where: str, *args: object) -> list[LiveCall]:
        """Two round trips however many calls, and a third if any uses minute bundles; a call that ends between them is
        left out."""
        calls = self._select(f"SELECT * FROM v_live_call WHERE {where} ORDER BY hold_until, call_key", *args)  # nosec B608  # noqa: S608 - constant conditions
        if not calls:
            return []
        places = ", ".join(["%s"] * len(calls))
        rows = self._select(
            f"SELECT *, rate AS rate_json FROM v_live_leg WHERE call_key IN ({places}) ORDER BY call_key, leg",  # nosec B608  # noqa: S608 - places only
            *(call["call_key"] for call in calls),
        )
        rooms = self._parent_rooms({row["capped_child_id"] for row in rows} - {None})
        left_s = self._bundles_left(sorted({row["call_key"] for row in rows if row["covered_s"]}))
        by_call = groupby(rows, lambda row: row["call_key"])
        legs = {
            key: tuple(
                record(
                    LiveLeg,
                    row,
                    parent_room=rooms.get(row["capped_child_id"]),
                    bundle_left_s=left_s.get((key, row["leg"]), 0),
                )
                for row in group
            )
            for key, group in by_call
        }
        return [record(LiveCall, row, legs=legs[row["call_key"]]) for row in calls if row["call_key"] in legs]

    def _parent_rooms(self, accounts: set[int]) -> dict[int, Decimal]:
        """What these accounts, whose limit that is, may still hold of their parents' money; seldom any."""
        if not accounts:
            return {}
        places = ", ".join(["%s"] * len(accounts))
        rows = self._select(
            f"SELECT account_id, parent_hold_limit - parent_held AS room FROM v_parent_hold WHERE account_id IN ({places})",  # nosec B608  # noqa: S608, E501 - places only
            *accounts,
        )
        return {row["account_id"]: max(Decimal(0), row["room"]) for row in rows}

    def _bundles_left(self, call_keys: Sequence[str]) -> dict[tuple[str, int], int]:
        """What the minute bundles of these calls' legs have left, beyond what the calls hold."""
        if not call_keys:
            return {}
        places = ", ".join(["%s"] * len(call_keys))
        rows = self._select(
            f"SELECT call_key, leg, SUM(left_s) AS left_s FROM v_live_bundle WHERE call_key IN ({places})"  # nosec B608  # noqa: S608 - places only
            " GROUP BY call_key, leg",
            *call_keys,
        )
        return {(row["call_key"], row["leg"]): int(row["left_s"]) for row in rows}


def _caller(rows: Sequence[Row]) -> Caller | None:
    if not rows:
        return None
    flags = ("premium_allowed", "has_bundles")
    in_order = sorted(rows, key=lambda row: int(row["leg"]))
    legs = (record(Leg, row, **{name: bool(row[name]) for name in flags}) for row in in_order)
    return record(Caller, in_order[0], legs=tuple(legs))


def _held(rows: Sequence[Row]) -> tuple[HeldLeg, ...]:
    return tuple(record(HeldLeg, row) for row in rows if row["leg"] is not None)


def _open_content(request: OpenRequest) -> str:
    legs: list[dict[str, object]] = [
        {
            "account": leg.account_id,
            "tariff": leg.tariff_id,
            "rate_id": leg.rate_id,
            "destination": clean(leg.destination),
            "rate": leg.rate_json,
            "holds": [format_amount(hold) for hold in leg.holds],
            "smallest": format_amount(leg.smallest),
            **_bundled(leg),
        }
        for leg in request.legs
    ]
    own: dict[str, object] = {
        "rated_at": _second(request.rated_at),
        "steps": list(request.steps),
        "legs": legs,
    }
    if request.routes:
        own["routes"] = {str(carrier): _route(rate) for carrier, rate in sorted(request.routes.items())}
    if any(leg.bundles for leg in request.legs):
        own["bundled"] = 1
    return json.dumps(content(request, {"user_id": "user"}) | own)


def _route(rate: CarrierRate) -> dict[str, object]:
    return {"tariff": rate.tariff_id, "rate_id": rate.rate_id, "currency": rate.currency, "rate": rate.rate_json}


def _routes(text: str | None) -> dict[int, CarrierRate]:
    """The reverse, of all carriers of a call."""
    found = json.loads(text) if text else {}
    return {
        int(carrier): CarrierRate(one["tariff"], one["rate_id"], one["currency"], one["rate"])
        for carrier, one in found.items()
    }


def _bundled(leg: OpenLeg) -> dict[str, object]:
    """The minute bundles that a leg may use, and what each step offers with them; nothing for a leg without."""
    if not leg.bundles:
        return {}
    bundles = [
        {"id": one.account_bundle_id, "from": _second(one.starts_at), "to": _second(one.ends_at)}
        for one in leg.bundles
    ]
    return {"bundles": bundles, "offers": [_offered(step) for step in leg.offers]}


def _offered(offers: Sequence[tuple[int, Decimal]]) -> list[list[object]]:
    return [[covered_s, format_amount(hold)] for covered_s, hold in offers]


def _second(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
