"""Commands as somebody types them, and a deployment file for those that look at no camera."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.process import overt
from tests.support.runs import here

DEPLOYMENT = """
deployment: d1
purpose: A trial of the command line
site: {id: s1, place: Here and there, reason: A trial}
authority: {officer: Nobody at all, reason: A trial}
window: {start: "2026-05-14T10:00:00+01:00", end: "2026-05-14T16:00:00+01:00"}
cameras:
  - {id: c1, source: walk.avi, partition: 0, zone: {id: z, polygon: [[0.1, 0.1], [0.9, 0.1], [0.9, 1.0]]}}
watchlist:
  source: people
  categories: [{id: suspects, kind: wanted, basis: A trial}]
"""


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


def environment(**settings: str | Path) -> dict[str, str]:
    """This process's environment without its own settings of Overt, with these."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("OVERT_")}
    return inherited | {f"OVERT_{key.upper()}": str(value) for key, value in settings.items()}


def typed(*arguments: str | Path, **settings: str | Path) -> Done:
    """What `overt ARGUMENTS` does with these settings. It runs in this process, which spares two seconds: not for
    commands that take signals."""
    ended = here(*arguments, out=None, env=environment(**settings))
    return Done(ended.code, ended.out, ended.err)


def typed_as_a_process(*arguments: str | Path, **settings: str | Path) -> Done:
    """The same in a process of its own."""
    done = subprocess.run(
        overt(*arguments), env=environment(**settings), capture_output=True, text=True, timeout=120, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def on_a_terminal(script: str) -> bytes:
    """What a Python script writes to a standard error that is a terminal; its assertions must hold."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen([sys.executable, "-c", script], stdin=theirs, stderr=theirs) as child:
            os.close(theirs)
            written = b"".join(_until_the_end(ours))
        assert child.returncode == 0, written.decode()
        return written
    finally:
        os.close(ours)


def _until_the_end(terminal: int) -> Iterator[bytes]:
    with suppress(OSError):  # EIO: nobody holds the other end any more
        while text := os.read(terminal, 65536):
            yield text
