"""A line between two places that can be cut, without a right of root: all that goes over it goes through here."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self

from tests.support.ports import free_port

_AT_ONCE = 65_536


class Link:
    """Whoever connects to 127.0.0.1:`port` speaks to 127.0.0.1:`to`. While it is `cut` nothing gets through and nobody
    is told: connections stand, new ones are taken and stay silent, as with a cable pulled out somewhere between.

    `carried`: bytes in either direction.
    """

    def __init__(self, to: int) -> None:
        self.port = free_port()
        self.to = to
        self.carried = 0
        self._loop = asyncio.new_event_loop()
        self._whole = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def cut(self) -> None:
        """From now on nothing gets through."""
        self._tell(self._whole.clear)

    def mend(self) -> None:
        """As before; what waits goes over."""
        self._tell(self._whole.set)

    def _tell(self, what: object) -> None:
        done = threading.Event()

        def tell() -> None:
            assert callable(what)
            what()
            done.set()

        self._loop.call_soon_threadsafe(tell)
        assert done.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._whole.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._carry, "127.0.0.1", self.port))
        self._listening.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._whole.wait()
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_AT_ONCE):
                await self._whole.wait()
                self.carried += len(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # one end is gone, and the other is told by the close
        finally:
            writer.close()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
