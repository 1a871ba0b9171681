"""Nothing more is said of a watchlist entry once it is removed, whatever is still on its way about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from overt.messages import Match
from overt.ports import Reason, Reject
from overt.runtime.runners import Outcome, Runner


class WithoutRemoved:
    """A runner that is handed no match of a removed entry; such a match is a reject.

    Matchers drop an entry some milliseconds after its removal was published; its key is destroyed before. What they
    have sent until then ends here.
    """

    def __init__(self, runner: Runner[Any, Any], removed: Callable[[str], bool]) -> None:
        self._runner = runner
        self._removed = removed

    def run(self, batch: Sequence[Match], /) -> Outcome[Any]:
        """See `overt.runtime.runners.Runner`. Raises Unavailable, also where the keyring cannot be asked."""
        gone = {entry_id for entry_id in {match.entry_id for match in batch} if self._removed(entry_id)}
        if not gone:
            return self._runner.run(batch)
        kept = [index for index, match in enumerate(batch) if match.entry_id not in gone]
        outcome = self._runner.run([batch[index] for index in kept])
        rejects = [Reject(kept[reject.index], reject.reason) for reject in outcome.rejects]
        rejects += [Reject(index, Reason.ENTRY_REMOVED) for index in sorted(set(range(len(batch))) - set(kept))]
        return Outcome(outcome.outputs, rejects, outcome.repeats)

    def keep(self) -> None:
        self._runner.keep()

    def forget(self) -> None:
        self._runner.forget()

    def tidy(self) -> None:
        self._runner.tidy()
