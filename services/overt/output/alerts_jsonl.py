"""Alerts as lines of JSON: the file of an embedded run, and what a downstream subscriber prints."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from overt.messages import Alert
from overt.output.private import for_few
from overt.picture import Picture

_DECIMALS = 6
_LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}
"""What JSON lets stand and some readers take for the end of a line."""
_LONGEST_LINE = 1 << 20


def alert_to_dict(alert: Alert) -> dict[str, Any]:
    """The alert's fields under their own names, in their order; images are left out, floats have 6 decimals."""
    values = ((field.name, getattr(alert, field.name)) for field in fields(alert))
    images = {"probe_image", "context"}
    return {name: _plain(value) for name, value in values if name not in images and not isinstance(value, Picture)}


def alert_to_line(alert: Alert) -> str:
    """The alert as one line of JSON, without its end of line; `null` stands for a margin that does not exist."""
    return fields_to_line(alert_to_dict(alert))


def fields_to_line(named: Mapping[str, Any]) -> str:
    """Plain fields as one line of JSON, without its end of line, written as `alert_to_line` writes them."""
    plain = {name: _plain(value) for name, value in named.items()}
    return json.dumps(plain, ensure_ascii=False, allow_nan=False).translate(_LINE_ENDS)


class AlertLog:
    """A file to which alerts are appended, one line each; a line that is there stays there, also after a crash.

    Each line is on the disk (fsync) when `append` returns. An unfinished last line, which a crash can leave, was never
    acknowledged and is cut off when the file is opened again, so that every line is whole.
    """

    def __init__(self, path: Path) -> None:
        """Opens nothing yet."""
        self._path = path
        self._file: int | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Makes the folder and the file where they are missing. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = for_few(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        _mend(self._file)

    def append(self, alert: Alert) -> None:
        """Adds one line. Raises OSError, ValueError when the log is not open."""
        if self._file is None:
            raise ValueError(f"{self._path} is not open")
        line = (alert_to_line(alert) + "\n").encode()
        written = os.write(self._file, line)  # one write, so that lines of two writers do not mix
        while written < len(line):
            written += os.write(self._file, line[written:])
        os.fsync(self._file)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _mend(file: int) -> None:
    """Cuts off an unfinished last line; one that only lacks its end is ended."""
    size = os.fstat(file).st_size
    start = max(0, size - _LONGEST_LINE)
    before, newline, last = os.pread(file, size - start, start).rpartition(b"\n")
    if not last:
        return
    try:
        json.loads(last)
        whole = True
    except ValueError:
        whole = start > 0 and not newline  # longer than any line of ours, so not ours to cut
    if whole:
        os.write(file, b"\n")
    else:
        os.ftruncate(file, start + len(before) + len(newline))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(float(value), _DECIMALS) if math.isfinite(value) else None
    return value
