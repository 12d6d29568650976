"""One test's stage: SIPp callers and callees in its own folder, all of them ended with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.support.messages import Message
from tests.support.rawsip import RawCallee, RawSip
from tests.support.sipp import Sipp
from tests.support.wire import Call, End, truth
from tests.support.world import IVR_ADDRESS, NUMBER, Account, Phone, World

SHARED = Path(__file__).parents[1] / "sipp-scenarios" / "shared"


class Scene:
    """Starts SIPp against the proxy. Scenario files are looked for beside the test, then in shared/."""

    def __init__(self, world: World, folder: Path, beside: Path) -> None:
        self.world = world
        self.folder = folder
        self._beside = beside
        self._sipps: list[Sipp] = []
        self._raw_callers: list[RawSip] = []
        self._raw_callees: list[RawCallee] = []

    def scenario(self, name: str) -> Path:
        own = self._beside / f"{name}.xml"
        return own if own.exists() else SHARED / f"{name}.xml"

    def callee(self, scenario: str = "callee", carrier: int = 1, *, talk_s: float = 0, **more: Any) -> Sipp:
        """What answers at a carrier (1, 2, 3), started and listening."""
        port = self.world.carrier_ports[carrier - 1]
        sipp = Sipp(
            f"carrier{carrier}", self.scenario(scenario), self.folder, port=port, talk_ms=round(talk_s * 1000), **more
        )
        return self._started(sipp)

    def refusing_callee(self, refusal: str, carrier: int = 1) -> Sipp:
        """A carrier that refuses every call, as with "486 Busy Here"."""
        return self.callee("callee_refuses", carrier, edits=[("500 Refused", refusal)])

    def calls(
        self,
        scenario: str,
        fields: Sequence[Sequence[str]],
        *,
        dialled: str = NUMBER,
        talk_s: float = 0,
        **more: Any,
    ) -> Sipp:
        """Callers, one for each line of `fields` (its second column is `dialled`), started."""
        sipp = Sipp(
            scenario,
            self.scenario(scenario),
            self.folder,
            remote=self.world.stack.sip_address,
            calls=len(fields),
            fields=[(line[0], dialled, *line[1:]) for line in fields],
            auth_uri=f"{dialled}@{self.world.realm}",
            talk_ms=round(talk_s * 1000),
            keys=[("realm", self.world.realm), *more.pop("keys", ())],
            **more,
        )
        return self._started(sipp)

    def phones(self, phones: Sequence[Phone], scenario: str = "phone", **more: Any) -> Sipp:
        """A call from each of these phones at once."""
        return self.calls(scenario, [(phone.username, digest(phone)) for phone in phones], **more)

    def ivr(self, cards: Sequence[Account], scenario: str = "ivr", *, caller: str = "4920555", **more: Any) -> Sipp:
        """A call through the IVR for each of these cards at once."""
        return self.calls(
            scenario, [(caller, card.number, card.pin) for card in cards], **{"host": IVR_ADDRESS, **more}
        )

    def raw(self, user: str = "raw", *, host: str = "127.0.0.1") -> RawSip:
        """A caller who writes his own SIP."""
        caller = RawSip(self.world.stack.sip_address, self.world.realm, host=host, user=user)
        self._raw_callers.append(caller)
        return caller

    def raw_callee(self, script: Callable[[RawCallee, Message], object], carrier: int = 1) -> RawCallee:
        """A carrier that writes its own SIP."""
        port = self.world.carrier_ports[carrier - 1]
        callee = RawCallee(self.world.stack.sip_address, self.world.realm, port, script)
        self._raw_callees.append(callee)
        return callee

    def truth(self, *callers: End, **more: Any) -> list[Call]:
        """`wire.truth` of these callers (all by default) and every callee."""
        mine = callers or [*(sipp for sipp in self._sipps if sipp.is_caller), *self._raw_callers]
        callees = [*(sipp for sipp in self._sipps if not sipp.is_caller), *self._raw_callees]
        return truth(self.world, mine, callees, **more)

    def _started(self, sipp: Sipp) -> Sipp:
        self._sipps.append(sipp)
        return sipp.start()

    def end(self) -> None:
        for sipp in self._sipps:
            sipp.stop()
        for raw in (*self._raw_callers, *self._raw_callees):
            raw.close()
        assert [] == [error for callee in self._raw_callees for error in callee.errors]

    def story(self) -> str:
        """Both ends' last messages and the proxy's lines about their calls, for a test that failed."""
        ends = (*self._sipps, *self._raw_callers, *self._raw_callees)
        call_ids = {message.call_id for end in ends for message in end.messages()[-12:] if message.call_id}
        parts = [end.story() for end in ends]
        lines = self.world.log_lines(*sorted(call_ids)) if call_ids else []
        return "\n".join([*parts, "=== proxy", *lines])


def digest(phone: Phone) -> str:
    """What SIPp puts in place of a field to answer a challenge."""
    return f"[authentication username={phone.username} password={phone.password}]"
