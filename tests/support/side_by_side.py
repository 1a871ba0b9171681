"""Which tests run beside each other under `pytest -n 2`: files do, and the tests of a file share its fixtures.

A file that measures real time has the machine to itself: those come last, one after the other in one process. Without
-n nothing changes but their place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

ALONE = {"test_camera_rtsp.py", "test_camera_takeover.py", "test_drain.py", "test_services_die.py"}
"""Files with tests that promise something within seconds, or at a camera's pace."""


def measures_real_time(nodeid: str) -> bool:
    return Path(nodeid.partition("::")[0]).name in ALONE


def those_alone_last(items: list[pytest.Item]) -> None:
    """Otherwise the order stays."""
    items.sort(key=lambda item: measures_real_time(item.nodeid))


class FilesSideBySide(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out files in the order of collection."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def remove_node(self, node: Any) -> str | None:
        """What a worker died of is not tried again: it would take its successors with it, one after the other."""
        left = self.assigned_work[node]
        for scope in [scope for scope, tests in left.items() if all(tests.values())]:
            del left[scope]
        died_of = next((test for tests in left.values() for test, done in tests.items() if not done), None)
        for tests in left.values():
            if died_of in tests:
                tests[died_of] = True
        super().remove_node(node)
        return died_of

    def _split_scope(self, nodeid: str) -> str:
        return "alone" if measures_real_time(nodeid) else nodeid.partition("::")[0]
