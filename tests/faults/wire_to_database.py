"""A small relay in front of MariaDB's socket: it passes bytes on, slows or stops them, refuses, and cuts connections
before a routine is heard of or after its COMMIT, when the answer is on its way.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

_CHUNK = 1 << 16
_QUERY = 0x03  # COM_QUERY, the fifth byte of a client's packet


class DatabaseWire:
    """One Unix socket in front of another. The fields are the fault; they may be set at any time."""

    def __init__(self, path: Path, server: Callable[[], Path]) -> None:
        """`server`: where MariaDB's own socket is, asked at each connection."""
        self.path = path
        self.delay_s = 0.0
        self.refusing = False
        self.cut_before = 0
        self.cut_after = 0
        self.counted: Counter[str] = Counter()
        self._server_of = server
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def open(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut_all()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hang(self) -> None:
        """Nothing passes any more, and connections stay: a network that is gone."""
        self._flowing.clear()

    def flow(self) -> None:
        self._flowing.set()

    def cut_all(self) -> None:
        """Every connection ends at once."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        upstream: asyncio.StreamWriter | None = None
        try:
            if self.refusing:
                self.counted["refused"] += 1
                return
            await self._flowing.wait()
            answers, upstream = await asyncio.open_unix_connection(self._server_of())
            connection = _Connection(self, reader, writer, answers, upstream)
            await connection.run()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, upstream):
                if end is not None:
                    end.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)


class _Connection:
    def __init__(
        self,
        wire: DatabaseWire,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        self._wire = wire
        self._client, self._to_client = client, to_client
        self._server, self._to_server = server, to_server
        self._cut_at_answer = False

    async def run(self) -> None:
        """Until one side is gone."""
        both = [asyncio.create_task(self._questions()), asyncio.create_task(self._answers())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*both, return_exceptions=True)

    async def _questions(self) -> None:
        while data := await self._client.read(_CHUNK):
            if is_money(data):
                if self._wire.cut_before > 0:
                    self._wire.cut_before -= 1
                    self._wire.counted["cut_before_commit"] += 1
                    return
                if self._wire.cut_after > 0:
                    self._wire.cut_after -= 1
                    self._cut_at_answer = True
            await self._through(data, self._to_server)

    async def _answers(self) -> None:
        while data := await self._server.read(_CHUNK):
            if self._cut_at_answer:
                self._wire.counted["cut_after_commit"] += 1
                return
            await self._through(data, self._to_client)

    async def _through(self, data: bytes, to: asyncio.StreamWriter) -> None:
        if self._wire.delay_s:
            self._wire.counted["slowed"] += 1
            await asyncio.sleep(self._wire.delay_s)
        await self._wire._flowing.wait()
        to.write(data)
        await to.drain()


def is_money(data: bytes) -> bool:
    """Whether a client's packet calls a routine that moves or holds money."""
    return (
        len(data) > 5
        and data[4] == _QUERY
        and data[5:].startswith((b"CALL open_call", b"CALL extend_call", b"CALL settle_call", b"CALL record_call"))
    )
