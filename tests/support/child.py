"""A child process in a group of its own, with a log file, signals, and no chance to outlive the test run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self


class ChildFailed(RuntimeError):
    """A child ended, or did not get ready, when it had to run; the text holds the end of its log."""


class _Reaper:
    """The one process that kills registered groups when this process ends (see tests/support/reaper.py)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def tell(self, line: str) -> None:
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                script = Path(__file__).with_name("reaper.py")
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(script)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    start_new_session=True,
                )
            assert self._process.stdin is not None
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()


_reaper = _Reaper()


class Child:
    """One command that can be started, stopped, killed, frozen and started again.

    Nothing runs before `start`. Signals go to the whole process group, so what the child itself started goes with it.
    Standard output and error are appended to `log_path`. Use it as a context manager to have it killed at the end.
    """

    def __init__(
        self, argv: Sequence[str], *, log_path: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self.argv = list(argv)
        self.log_path = log_path
        self.env = env
        self.cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """Process id (and group id) of the current or last run; RuntimeError before the first."""
        if self._process is None:
            raise RuntimeError(f"{self.argv[0]} was never started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """True while the process exists, frozen or not."""
        return self._process is not None and self._poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit status of the last run (negative: the signal that ended it); None while it runs or before it did."""
        return None if self._process is None else self._poll()

    def _poll(self) -> int | None:
        assert self._process is not None
        if self._process.returncode is None and self._process.poll() is not None:
            self._ended()
        return self._process.returncode

    def _ended(self) -> None:
        # Once, right after the leader was collected: later its number may belong to somebody else.
        self.signal(signal.SIGKILL)
        _reaper.tell(f"-{self.pid}")

    def spawn(self) -> None:
        """Start the process and return at once; RuntimeError if it runs already."""
        if self.running:
            raise RuntimeError(f"{self.argv[0]} runs already as process {self.pid}")
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if self.env is None else dict(self.env),
                cwd=self.cwd,
                start_new_session=True,
            )
        _reaper.tell(f"+{self._process.pid}")

    def signal(self, number: int) -> None:
        """Send a signal to the process group, if it still exists."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def terminate(self, timeout_s: float = 30.0) -> float:
        """SIGTERM (after a thaw) and wait; returns the seconds it took. ChildFailed, and a kill, past the timeout."""
        if not self.running:
            return 0.0
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        try:
            self.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ChildFailed(f"{self.describe()} did not end within {timeout_s} s of SIGTERM\n{self.tail()}") from None
        return time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL the group and collect the process; harmless when it has ended."""
        if self.running:
            self.signal(signal.SIGKILL)
            self.wait(30.0)

    def freeze(self) -> None:
        """SIGSTOP: the process stays, holds its sockets, and does nothing."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after `freeze`."""
        self.signal(signal.SIGCONT)

    def wait(self, timeout_s: float) -> int:
        """Wait for the end and return the exit status; subprocess.TimeoutExpired when it takes longer."""
        if self._process is None:
            raise RuntimeError(f"{self.argv[0]} was never started")
        if self._process.returncode is None:
            self._process.wait(timeout_s)
            self._ended()
        return self._process.returncode

    def wait_until(
        self, ready: Callable[[], bool], timeout_s: float, *, what: str = "ready", poll_s: float = 0.05
    ) -> float:
        """Poll `ready` until it is true; returns the seconds. ChildFailed when the process ends or the time is up."""
        began = time.monotonic()
        while not ready():
            if not self.running:
                raise ChildFailed(f"{self.describe()} ended with {self.exit_code} before it was {what}\n{self.tail()}")
            if time.monotonic() - began > timeout_s:
                raise ChildFailed(f"{self.describe()} was not {what} within {timeout_s} s\n{self.tail()}")
            time.sleep(poll_s)
        return time.monotonic() - began

    def log_text(self) -> str:
        """What the current or last run has written so far."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", "replace")

    def tail(self, lines: int = 20) -> str:
        """The last lines of the log, for messages."""
        return "\n".join(self.log_text().splitlines()[-lines:])

    def describe(self) -> str:
        """Command and process id in a few words."""
        return f"{Path(self.argv[0]).name} (process {self.pid}, log {self.log_path})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


class Started:
    """What is started where its `with` block begins, and killed where that ends."""

    def start(self) -> object:
        """Returns when it can be used."""
        raise NotImplementedError

    def kill(self) -> None:
        """Harmless when it does not run."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
