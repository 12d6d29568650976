"""What Kamailio loads: `mod_init` and the callbacks, each wrapped once. Everything else is in the modules it calls."""

from __future__ import annotations

import functools
import traceback
from typing import TYPE_CHECKING, Any

from billing import settings
from billing.errors import LedgerUnavailable, MeterlineError
from kemi import (
    caller_id,
    calls,
    core_log,
    cutter,
    dialog_store,
    dialogs,
    health,
    keeper,
    ksr,
    log,
    node,
    relay,
    request,
)

if TYPE_CHECKING:
    from collections.abc import Callable

OK = 1


def callback(route: Callable[..., None]) -> Callable[..., int]:
    """Kamailio's callbacks must return a number and must not raise: None kills the worker's next request, and an
    exception drops the request in hand without a reply (docs/kamailio.md, 7)."""

    @functools.wraps(route)
    def wrapped(*arguments: Any) -> int:
        try:
            node.here().write_unwritten()
            route(*arguments)
        except Exception as error:  # noqa: BLE001 - the last line of defence; logged in full
            log.event("uncaught", "err", route=route.__name__, error=repr(error), trace=traceback.format_exc())
            _answer_somehow(route.__name__)
        return OK

    return wrapped


def _answer_somehow(route: str) -> None:
    if route == "ksr_reply_route":
        ksr.drop_reply()  # an answer that could not be judged must not connect a call
        return
    if route not in ("ksr_request_route", "ksr_authorize", "ksr_announce") or ksr.method() == "ACK":
        return
    try:
        ksr.reply(500, "Server Internal Error")
    except Exception as error:  # noqa: BLE001 - nothing else is left to try
        log.event("uncaught", "err", route=route, error=repr(error))


class Meterline:
    """Kamailio's callbacks. The methods' names are those in kamailio.cfg and in kemi/."""

    def child_init(self, rank: int) -> int:
        """Runs in every process after the fork; nothing is opened before it is needed."""
        core_log.keep_quiet(rank)
        return OK

    @callback
    def ksr_request_route(self, message: object) -> None:
        request.route_request()

    @callback
    def ksr_reply_route(self, message: object) -> None:
        relay.guard_replies()

    @callback
    def ksr_authorize(self, message: object) -> None:
        calls.authorize_and_relay()

    @callback
    def ksr_announce(self, message: object) -> None:
        calls.announce()

    @callback
    def ksr_branch(self, message: object) -> None:
        relay.edit_branch()

    @callback
    def ksr_failure(self, message: object) -> None:
        relay.take_failed_branch()

    @callback
    def ksr_transaction_reply(self, message: object) -> None:
        relay.see_reply()

    @callback
    def ksr_in_dialog_reply(self, message: object) -> None:
        caller_id.restore_in_dialog()

    @callback
    def ksr_dialog_event(self, message: object, name: str) -> None:
        dialogs.take_event(name)

    @callback
    def ksr_keeper(self, message: object, name: str) -> None:
        keeper.run()

    @callback
    def ksr_suspects(self, message: object, name: str) -> None:
        health.look_at_certificates()

    @callback
    def ksr_cutter(self, message: object, name: str) -> None:
        cutter.tick()


def _check_ledger(started: node.Node) -> None:
    """A database that could lose money is refused; one that is away is not: calls that are up must go on."""
    ledger = started.ledger
    try:
        ledger.check_settings()
    except LedgerUnavailable as error:
        log.event("ledger_failed", "warn", process="start", error=str(error))
    ledger.close()
    started.forget_ledger()  # no connection crosses the fork; each process makes the client that it needs


def mod_init() -> Meterline:
    """Called once by Kamailio, before it forks. A bad setting, ours or the database's, stops start-up with its name."""
    try:
        started = node.start(settings.load())
        started.room.keep_reserve()
        _check_ledger(started)
        dialog_store.make_writers_wait()
    except MeterlineError as error:
        log.event("start_refused", "err", error=str(error))
        raise  # app_python3 then ends Kamailio, with a traceback below the line that matters
    return Meterline()
