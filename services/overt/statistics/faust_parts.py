"""The parts of Faust that do something else here, and why stands in `faust_app`."""

from __future__ import annotations

import asyncio
from typing import Any

import faust
from faust.tables import recovery
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver

BUFFER = 16
"""Records of a topic that Faust holds for its agent."""
AT_ONCE = 8
"""Records of a topic that an agent has in hand. Each waits for the broker; facts may be kept in any order."""
_AGAIN = 2 * BUFFER
"""Records of a partition that are read again when it is assigned."""
_COUNTED_AGAIN = 1_000
"""The same of `counted`, where it costs little: the windows of these facts are told again, too."""


class App(faust.App):
    """Faust's, with what its consumer must know."""

    counted = ""
    """The topic of facts, with prefix."""

    def _create_directories(self) -> None:
        """It keeps nothing in files."""


class FactTable(faust.Table):  # type: ignore[type-arg]  # generic only for type checkers
    """A table that says when its changelog has what was written."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._unwritten: list[Any] = []
        super().__init__(*arguments, **named)

    def send_changelog(self, *arguments: Any, **named: Any) -> Any:
        future = super().send_changelog(*arguments, **named)
        self._unwritten.append(future)
        return future

    async def written(self) -> None:
        """Until the broker has acknowledged every change. Raises what it answered."""
        unwritten, self._unwritten = self._unwritten, []
        for future in unwritten:
            await future


class Consumer(driver.Consumer):
    """Begins a little before what was committed, and hands nothing on while it looks for its place.

    When a table is whole, Faust lets records come, seeks, and then empties the agents' buffers. What came in between
    was read and is gone: it is never acknowledged, so that nothing after it can be committed, and a buffer that was
    full by then is never filled again. Where the fetcher runs already, as after a rebalance, this is a matter of luck.
    Faust lets the flow go on itself, once the buffers are empty.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.begun_at: dict[Any, int] = {}
        """By partition, what was committed when it was assigned."""
        super().__init__(*arguments, **named)

    async def perform_seek(self) -> None:
        self.stop_flow()
        await super().perform_seek()
        assert isinstance(self.app, App)
        kept = self.app.tables.changelog_topics
        for place in self.assignment():
            committed = self._read_offset[place]
            if committed and place.topic not in kept:
                self.begun_at[place] = committed
                again = _COUNTED_AGAIN if place.topic == self.app.counted else _AGAIN
                await self.seek(place, max(0, committed - again))


class Transport(driver.Transport):
    Consumer = Consumer


class _Latch(asyncio.Event):
    """Stays set until it is armed, whoever clears it."""

    def clear(self) -> None:
        """Nothing."""

    def arm(self) -> None:
        super().clear()


class Recovery(recovery.Recovery):
    """Reads the table from its changelog, and hears that it has.

    Who reads the changelog sets a signal at its end and clears it in the same breath. Where the end comes before
    somebody waits for it (a short changelog, a busy machine), Faust waits for ever.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._done = self._signal_recovery_end = _Latch()

    def _set_recovery_started(self) -> None:
        self._done.arm()
        super()._set_recovery_started()


class Tables(TableManager):
    """Faust's, with a recovery that ends."""

    @property
    def recovery(self) -> Recovery:
        if self._recovery is None:
            self._recovery = Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        assert isinstance(self._recovery, Recovery)
        return self._recovery
