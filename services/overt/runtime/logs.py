"""Logging of a process: text for people, or one JSON object a line for machines."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any


class _Discreet(logging.Formatter):
    """Of an exception it tells the type and where it was raised, never the text: that may quote values."""

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # another handler may have left the whole text there
        line = super().format(record)
        record.exc_text = None
        return line

    def formatException(self, ei: Any) -> str:  # noqa: N802  # the base class names it so
        return f"{ei[0].__name__} at {where(ei[2])}"


class _JsonFormatter(_Discreet):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            entry["exception"] = record.exc_info[0].__name__
            entry["at"] = where(record.exc_info[2])
        return json.dumps(entry, ensure_ascii=False)


def where(trace: TracebackType | None) -> str:
    """The last four places of a traceback, the innermost first."""
    frames = traceback.extract_tb(trace)[-4:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))


def configure_logging(level: str, form: str) -> None:
    """Sends all logs to standard error. Standard output is for results."""
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(_JsonFormatter())
    else:
        handler.setFormatter(_Discreet("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
