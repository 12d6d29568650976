"""What a deck of a million rates costs to import, beside a plain load of the same rows into the same server.

    .venv/bin/python -m bench.decks [--rates 1000000]

Time and memory (the most resident, of the command and of the server) of: LOAD DATA and a bulk INSERT, which check
nothing and compare with nothing; a first import; the next month's deck, in which a tenth of the prices is another, as a
dry run and in earnest, with look-ups going on beside it; an export. The server is a private one with a buffer
pool of 128 MB, as the tests have it.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pymysql
import pymysql.cursors

from billing.ledger import Ledger, LedgerAddress
from db.migrate import RuntimeLogin, migrate
from demo.deck import deck
from stack.mariadb import PrivateMariaDB

CHECKOUT = Path(__file__).parents[1]
PASSWORD = "bench's own"  # noqa: S105  # nosec B105  # of a private server
COLUMNS = "tariff_id, prefix, destination, connect_fee, price, per_s, initial_s, increment_s, effective_from"


class Bench:
    """A ledger on a private server, and a ruler."""

    def __init__(self, server: PrivateMariaDB, folder: Path, rates: int) -> None:
        self._server, self._folder, self._rates = server, folder, rates
        migrate(server.admin_params(), "meterline", [_login("admin"), _login("proxy")])
        self.root = pymysql.connect(**server.admin_params(), database="meterline", autocommit=True)
        self._plain_s = 0.0
        self._write(1)
        self._write(2)

    def _write(self, revision: int) -> None:
        """A deck, and the same rows as a table takes them."""
        with self._file(revision).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(deck(self._rates, revision=revision))
        with self._file(revision, "tsv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="\t", lineterminator="\n").writerows(self._rows())

    def _file(self, revision: int, kind: str = "csv") -> Path:
        return self._folder / f"deck{revision}.{kind}"

    def _rows(self) -> Iterator[tuple[object, ...]]:
        lines = deck(self._rates)
        next(lines)
        for name, prefix, price, fee, increments in lines:
            first, _, then = increments.partition("/")
            initial = first if then else "\\N"
            yield 1, prefix, name, fee, price, 60, initial, then or first, "2026-01-01 00:00:00"

    # --- what is measured ---------------------------------------------------------------------------------------------

    def load_data(self) -> None:
        self._table()
        path = self._file(1, "tsv")
        path.chmod(0o644)
        self._sql(f"LOAD DATA INFILE '{path}' INTO TABLE plain ({COLUMNS})")

    def bulk_insert(self) -> None:
        self._table()
        sql = "INSERT INTO plain (" + COLUMNS + ") VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"  # nosec B608  # noqa: S608
        with self.root.cursor() as cursor:
            self.root.begin()
            rows: list[tuple[object, ...]] = []
            for row in self._rows():
                rows.append(tuple(None if cell == "\\N" else cell for cell in row))
                if len(rows) == 5000:
                    cursor.executemany(sql, rows)
                    rows = []
            if rows:
                cursor.executemany(sql, rows)
            self.root.commit()

    def _table(self) -> None:
        self._sql("DROP TABLE IF EXISTS plain")
        self._sql("CREATE TABLE plain LIKE rate")

    def _sql(self, statement: str) -> None:
        with self.root.cursor() as cursor:
            cursor.execute(statement)

    def command(self, *words: str) -> int:
        """Run `meterline tariff ..`; the most memory that it had, in kB."""
        settings = {
            "METERLINE_DATABASE__PORT": str(self._server.port),
            "METERLINE_DATABASE__ADMIN_PASSWORD": PASSWORD,
            "METERLINE_CARD_PIN_KEY": "0" * 32,
            "METERLINE_NODE__NAME": "bench",
            "METERLINE_NODE__STATE_DIR": str(self._folder),
            "METERLINE_SIP__REALM": "bench",
            "METERLINE_SIP__LISTEN": '["udp:127.0.0.1:5060"]',
        }
        child = subprocess.Popen(
            [CHECKOUT / "bin" / "meterline", "tariff", *words],
            env={"PATH": os.environ["PATH"]} | settings,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        told = child.stdout.read().strip().splitlines()
        child.stdout.close()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sys.exit(f"meterline tariff {' '.join(words)} ended with {child.returncode}")
        print(f"    {told[-1] if told else ''}")
        return used.ru_maxrss

    def report(self, what: str, work: Callable[[], int | None]) -> None:
        """Time, as a ratio to LOAD DATA, and memory."""
        (Path("/proc") / str(self._server.pid) / "clear_refs").write_text("5")  # the peak counts from here
        began_s = time.monotonic()
        client_kb = work()
        took_s = time.monotonic() - began_s
        self._plain_s = self._plain_s or took_s
        memory = f", command {client_kb // 1024} MB" if client_kb else ""
        ratio = f"{took_s / self._plain_s:5.2f} x"
        print(f"{what:44} {took_s:7.1f} s {ratio}; server at most {self._server_mb()} MB{memory}", flush=True)

    def _server_mb(self) -> int:
        status = (Path("/proc") / str(self._server.pid) / "status").read_text("ascii")
        return int(status.split("VmHWM:")[1].split()[0]) // 1024

    def with_look_ups(self, work: Callable[[], int]) -> int:
        """Do it while a proxy asks for rates; says what that proxy felt."""
        over = Event()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self._look_up, over)
            used = work()
            over.set()
            _told("look-ups beside it", asked.result())
        return used

    def idle_look_ups(self) -> None:
        over = Event()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self._look_up, over, 5000)
            _told("look-ups alone", asked.result())

    def _look_up(self, over: Event, most: int = 10_000_000) -> list[float]:
        ledger = Ledger(_address(self._server, "proxy"))
        times_ms: list[float] = []
        digits = [line[1] + "5550123" for number, line in enumerate(deck(self._rates)) if number % 997 == 1]
        while not over.is_set() and len(times_ms) < most:
            began_s = time.monotonic()
            rates = ledger.rates_for(1, digits[len(times_ms) % len(digits)])
            times_ms.append((time.monotonic() - began_s) * 1000)
            assert rates
        ledger.close()
        return times_ms

    def file(self, revision: int) -> str:
        return str(self._file(revision))


def _told(what: str, times_ms: list[float]) -> None:
    ordered = sorted(times_ms)
    at = ordered[int(len(ordered) * 0.99)]
    print(f"    {what}: {len(ordered)}, median {statistics.median(ordered):.2f} ms, 99 % within {at:.2f} ms")


def _login(role: str) -> RuntimeLogin:
    return RuntimeLogin(role, f"meterline_{role}", PASSWORD)  # type: ignore[arg-type]


def _address(server: PrivateMariaDB, role: str) -> LedgerAddress:
    return LedgerAddress(port=server.port, user=f"meterline_{role}", password=PASSWORD, timeout_s=60)


def main() -> None:
    parser = argparse.ArgumentParser(description="What a large deck costs to import.")
    parser.add_argument("--rates", type=int, default=1_000_000)
    rates = parser.parse_args().rates
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name)
        with PrivateMariaDB(folder / "mariadb") as server:
            bench = Bench(server, folder, rates)
            Ledger(_address(server, "admin")).create_tariff("Bench", "EUR")
            print(f"{rates} rates")
            bench.report("LOAD DATA, no checks", bench.load_data)
            bench.report("INSERT, 5000 rows a statement", bench.bulk_insert)
            bench.report(
                "first import", lambda: bench.command("import", "Bench", bench.file(1), "--effective", "2026-01-01")
            )
            bench.idle_look_ups()
            month = ("import", "Bench", bench.file(2), "--effective", "2026-02-01", "--replace")
            bench.report("next month's deck, dry run", lambda: bench.command(*month, "--dry-run", "--limit", "0"))
            bench.report("next month's deck", lambda: bench.with_look_ups(lambda: bench.command(*month)))
            bench.idle_look_ups()
            bench.report("export", lambda: bench.command("export", "Bench", str(folder / "out.csv")))
            bench.root.close()


if __name__ == "__main__":
    main()
