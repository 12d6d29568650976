"""The monitor: a process beside the proxy and the drain that nobody waits for. It may die and come back at any time.

python -m monitor        (settings from METERLINE_SETTINGS)
"""

from __future__ import annotations

import signal
import sys
import threading

from billing import settings as settings_module
from billing.board import FILE_NAME, Board
from billing.errors import MeterlineError
from billing.logs import EventLog
from billing.privileges import drop_into_place
from monitor.server import Server
from monitor.watch import Watch

PART = "monitor"


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code 2 for a bad setting, named in one line of the log."""
    try:
        settings = settings_module.load()
        drop_into_place(settings, settings_module.path_from_environment())
        board = Board(settings.node.state_dir / FILE_NAME)
        log = EventLog(PART, settings.node.name, board.count_event)
        watch = Watch(settings, board, log)
        watch.start()
        server = Server(watch)
    except MeterlineError as error:
        EventLog(PART, "").event("start_refused", "err", error=str(error))
        return 2
    except OSError as error:
        log.event("start_refused", "err", error=f"monitor.listen {settings.monitor.listen}: {error.strerror}")
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: watch.stop.set())
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    watch.stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
