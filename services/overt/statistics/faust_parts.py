"""The parts of Faust that do something else here, and why stands in `faust_app`."""

from __future__ import annotations

from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver

BUFFER = 16
"""Records of a topic that Faust holds for its agent."""
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


class _Consumer(driver.Consumer):
    """Begins a little before what was committed."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.begun_at: dict[Any, int] = {}
        """By partition, what was committed when it was assigned."""
        super().__init__(*arguments, **named)

    async def perform_seek(self) -> None:
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
    Consumer = _Consumer
