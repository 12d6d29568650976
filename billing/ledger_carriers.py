"""Carriers: setting them up, what nodes need of them, whether they answer; and which numbers callers may show."""

import json
from collections.abc import Mapping, Sequence
from itertools import groupby

from billing.ledger_rows import record
from billing.ledger_session import LedgerSession
from billing.ledger_types import CarrierRow, CarrierShown, CarrierState, ShownNumber


class CarriersLedger(LedgerSession):
    """Carriers have names for people, and ids for nodes. LedgerRefused names what cannot be."""

    # --- setting up ---------------------------------------------------------------------------------------------------

    def create_carrier(self, name: str, host: str, **settings: object) -> int:
        """Where calls may go; its id. `settings` as set_carrier takes them."""
        return int(self._call("create_carrier", name, json.dumps({"host": host, **settings}))[0]["id"])

    def set_carrier(self, name: str, **settings: object) -> int:
        """Change some of: host, port, transport, priority, weight, tariff (a name), prefixes, channels, dial_prefix,
        trusts_identity, probed; its id."""
        return int(self._call("set_carrier", name, json.dumps(settings))[0]["id"])

    def set_carrier_status(self, name: str, status: str) -> None:
        """'active' or 'disabled'."""
        self._call("set_carrier_status", name, status)

    def set_account_routing(self, account: str, *, loss_allowed: bool, carrier_order: str | None) -> None:
        """Whether a carrier may cost more than the calls of this account, and the order of carriers for them."""
        self._call("set_account_routing", account, loss_allowed, carrier_order)

    def set_tariff_routing(self, tariff: str, *, loss_allowed: bool, carrier_order: str | None) -> None:
        """The same for all accounts at a tariff."""
        self._call("set_tariff_routing", tariff, loss_allowed, carrier_order)

    def put_shown_number(self, account: str, user: str | None, number: str, *, default: bool = False) -> bool:
        """A number that a user (None: all of the account) may show; whether it is the default."""
        return bool(self._call("put_shown_number", account, user, number, default)[0]["is_default"])

    def remove_shown_number(self, account: str, user: str | None, number: str) -> None:
        """Take it away again."""
        self._call("remove_shown_number", account, user, number)

    # --- looking ------------------------------------------------------------------------------------------------------

    def all_carriers(self) -> list[CarrierShown]:
        """Disabled ones too, in the order of their priority, with their calls in progress."""
        rows = self._select("SELECT * FROM v_carrier ORDER BY priority, carrier_id")
        return [record(CarrierShown, row) for row in rows]

    def carrier_states(self, node: str | None = None) -> list[CarrierState]:
        """Whether the nodes (or one of them) find the carriers there."""
        where, args = ("TRUE", []) if node is None else ("node = %s", [node])
        rows = self._select(f"SELECT * FROM v_carrier_state WHERE {where} ORDER BY name, node", *args)  # nosec B608  # noqa: S608 - constant conditions
        return [record(CarrierState, row) for row in rows]

    def shown_numbers(self, account: str | None = None) -> list[ShownNumber]:
        """Numbers that may be shown, of an account or of all."""
        where, args = ("TRUE", []) if account is None else ("account_name = %s", [account])
        rows = self._select(
            f"SELECT * FROM v_shown_number WHERE {where} ORDER BY account_name, user_name, is_default DESC, number",  # nosec B608  # noqa: S608 - constant conditions
            *args,
        )
        return [record(ShownNumber, row) for row in rows]

    # --- for nodes ----------------------------------------------------------------------------------------------------

    def carriers(self) -> list[CarrierRow]:
        """Active carriers in the order of their priority."""
        rows = self._select("SELECT * FROM v_carrier_route ORDER BY priority, carrier_id, prefix")
        found = []
        for _, group in groupby(rows, lambda row: row["carrier_id"]):
            of_carrier = list(group)
            prefixes = tuple(row["prefix"] for row in of_carrier if row["prefix"] is not None)
            version = of_carrier[0]["tariff_version"] or 0
            found.append(record(CarrierRow, of_carrier[0], prefixes=prefixes, tariff_version=version))
        return found

    def carriers_in_use(self, node: str) -> dict[int, int]:
        """Calls that other nodes have at carriers with channels, by carrier, as far as the ledger knows."""
        rows = self._select(
            "SELECT carrier_id, SUM(calls) AS calls FROM v_carrier_use WHERE node <> %s GROUP BY carrier_id", node
        )
        return {int(row["carrier_id"]): int(row["calls"]) for row in rows}

    def note_carriers(self, node: str, states: Mapping[int, str]) -> None:
        """Which carriers a node finds 'up' and which 'down': all that it asks."""
        given: Sequence[object] = [{"carrier": one, "state": state} for one, state in sorted(states.items())]
        self._call("note_carriers", node, json.dumps(given))
