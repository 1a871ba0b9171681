"""Where a replica's time goes: the stage, and the calls by which its loop waits for others, each with its seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, MutableSequence
from typing import Any

PARTS = ("stage", "waits", "flush", "state", "commit")
"""The model; waiting for a record, for the acknowledgement of what was sent, for Redis, for the commit."""


class Timed:
    """Any port, of which some calls are timed. `calls`: the part of `PARTS` that each belongs to."""

    def __init__(self, port: Any, spent_s: MutableSequence[float], **calls: str) -> None:
        self._port = port
        for call, part in calls.items():
            setattr(self, call, _timed(getattr(port, call), spent_s, PARTS.index(part)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


def _timed(call: Callable[..., Any], spent_s: MutableSequence[float], part: int) -> Callable[..., Any]:
    def timed(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return call(*arguments, **named)
        finally:
            spent_s[part] += time.perf_counter() - began

    return timed
