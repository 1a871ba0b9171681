"""How a run on one machine ends: by a signal, by files that cannot be written, by cameras that could not be read."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from overt.cli.errors import UserError
from overt.output.webm import VideoError
from overt.runtime.embedded import StageFailed
from overt.runtime.frame.rules import CameraSummary


@contextmanager
def stop_at_signal() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set. A second signal is not waited for."""
    stop = threading.Event()

    def tell(number: int, frame: FrameType | None) -> None:
        del frame
        signal.signal(number, before[number])
        stop.set()

    before = {int(number): signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def writing_to(out: Path) -> Iterator[None]:
    """Results that cannot be written end the run with a reason: nobody could look up its alerts later."""
    try:
        yield
    except (OSError, VideoError, StageFailed) as error:
        cause = error.__cause__ if isinstance(error, StageFailed) else error
        if isinstance(cause, VideoError):
            raise UserError(str(cause), 8) from error
        if isinstance(cause, OSError):
            where, why = cause.filename or out, cause.strerror or str(cause)
            raise UserError(
                f"{where}: cannot be written ({why}); make room and see to the rights, or name another --out", 8
            ) from error
        raise


def require_read(cameras: Mapping[str, CameraSummary]) -> None:
    """Raises UserError when a camera of a run that has ended could not be read."""
    unread = [f"camera {camera.camera_id}: {camera.failure}" for camera in cameras.values() if camera.failure]
    if unread:
        raise UserError("\n  ".join([f"{len(unread)} of {len(cameras)} cameras could not be read", *unread]), 5)
