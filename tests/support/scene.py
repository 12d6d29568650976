"""One test's stage: SIPp callers and callees in its own folder, all of them ended with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.sipp import Sipp
from tests.support.wire import Call, truth
from tests.support.world import IVR_ADDRESS, NUMBER, Account, Phone, World

SHARED = Path(__file__).parents[1] / "sipp-scenarios" / "shared"


class Scene:
    """Starts SIPp against the proxy. Scenario files are looked for beside the test, then in shared/."""

    def __init__(self, world: World, folder: Path, beside: Path) -> None:
        self.world = world
        self.folder = folder
        self._beside = beside
        self._sipps: list[Sipp] = []

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

    def truth(self, *callers: Sipp, **more: Any) -> list[Call]:
        """`wire.truth` of these callers (all by default) and every callee."""
        mine = callers or [sipp for sipp in self._sipps if sipp.is_caller]
        return truth(self.world, mine, [sipp for sipp in self._sipps if not sipp.is_caller], **more)

    def _started(self, sipp: Sipp) -> Sipp:
        self._sipps.append(sipp)
        return sipp.start()

    def end(self) -> None:
        for sipp in self._sipps:
            sipp.stop()

    def story(self) -> str:
        """Both ends' last messages and the proxy's lines about their calls, for a test that failed."""
        call_ids = {message.call_id for sipp in self._sipps for message in sipp.messages()[-12:] if message.call_id}
        parts = [sipp.story() for sipp in self._sipps]
        lines = self.world.log_lines(*sorted(call_ids)) if call_ids else []
        return "\n".join([*parts, "=== proxy", *lines])


def digest(phone: Phone) -> str:
    """What SIPp puts in place of a field to answer a challenge."""
    return f"[authentication username={phone.username} password={phone.password}]"
