"""An annotated video of each camera in which everybody who raised no alert is unclear, for good.

Frames wait in memory, encoded, until it is known who raised an alert; then they are made unclear and written. What is
not known by then stays unclear. No clear picture touches a disk.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Literal, Self

import cv2
import numpy as np

from overt.messages import Alert, Frame, Sightings
from overt.output.drawing import CAPTION_HEIGHT_PX, annotated, with_caption
from overt.output.presence import CARRY_US, Presence
from overt.output.tape import MAX_FPS, Due, Tape, frame_rate, held_frame, scaled
from overt.output.webm import SUFFIX, VideoError, WebmFile
from overt.output.wording import iso
from overt.picture import decode

DELAY_S = 8.0
MAX_HELD_BYTES = 512 << 20

_MAX_DUE = 64
"""Frames that may wait for the writer before `observe` waits for it, or leaves frames out."""

Surroundings = Literal["soft", "clear"]


class Annotator:
    """Takes sightings and alerts from any threads, and writes `<camera_id>.webm` on a thread of its own.

    `delay_s` of capture time pass before a frame is written, None for until `close`; an alert that comes later makes
    its face clear from then on only. `wait` says what happens when the writer falls behind: `observe` waits for it,
    or (the default, for live sources) pictures are left out of the video and counted in `skipped`.
    """

    def __init__(
        self,
        out_dir: Path,
        *,
        title: str,
        delay_s: float | None = DELAY_S,
        wait: bool = False,
        surroundings: Surroundings = "soft",
        max_held_bytes: int = MAX_HELD_BYTES,
    ) -> None:
        """`title` stands in each picture's caption: the deployment, and UNSIGNED where it is."""
        self._out_dir = out_dir
        self._title = title
        # Less than the carry, and a missed beat could not be seen from its far side.
        self._delay_us = None if delay_s is None else max(round(delay_s * 1e6), CARRY_US)
        self._wait = wait
        self._soften = surroundings == "soft"
        self._max_held_bytes = max_held_bytes
        self._tapes: dict[str, Tape] = {}
        self._held_bytes = 0
        self._closing = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self._writer: threading.Thread | None = None
        self.skipped = 0
        """Pictures that were left out because the writer was behind."""

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self) -> None:
        """Makes the folder and starts the writer."""
        self._out_dir.mkdir(parents=True, exist_ok=True)
        self._writer = threading.Thread(target=self._run, name="annotator", daemon=True)
        self._writer.start()

    def observe(self, sightings: Sightings) -> None:
        """Takes a frame and the faces in it. Raises what the writer has raised."""
        frame = sightings.frame
        if frame.image is None:
            return
        with self._changed:
            tape = self._tape(frame.camera_id)
            tape.presences.add(sightings)
            tape.newest_us = max(tape.newest_us, frame.captured_at_us)
            self._changed.notify_all()
            if not self._room_for(tape, frame):
                return
            tape.last_held_us = frame.captured_at_us
        held = held_frame(frame)
        with self._changed:
            tape.held.append(held)
            self._held_bytes += len(held.image)
            self._changed.notify_all()

    def alert(self, alert: Alert) -> None:
        """From now on the alert's track is clear in the frames that are still to be written."""
        with self._changed:
            self._tape(alert.camera_id).alerts[alert.track_id] = alert

    @property
    def waiting(self) -> int:
        """Pictures that are held and not written yet."""
        with self._changed:
            return sum(len(tape.held) for tape in self._tapes.values())

    def close(self) -> list[Path]:
        """Writes what is held and finishes the files; returns them. Raises what the writer has raised."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._writer is not None:
            self._writer.join()
            self._writer = None
        self._raise_failure()
        return [self._path(tape) for tape in self._tapes.values() if tape.video is not None]

    def _tape(self, camera_id: str) -> Tape:
        if Path(camera_id).name != camera_id or camera_id in ("", ".."):
            raise ValueError("a camera's id that is no plain file name cannot name its video")
        return self._tapes.setdefault(camera_id, Tape(camera_id))

    def _room_for(self, tape: Tape, frame: Frame) -> bool:
        """Whether the frame is wanted; waits until there is room for it, if so asked. Holds the lock."""
        if frame.captured_at_us - tape.last_held_us < 0.9e6 / MAX_FPS:
            return False
        while self._wait and self._behind() and self._failure is None:
            self._changed.wait(0.5)
        self._raise_failure()
        behind = self._behind()
        self.skipped += behind
        return not behind

    def _behind(self) -> bool:
        waiting = sum(1 for tape in self._tapes.values() for _ in tape.due(self._delay_us))
        return waiting > _MAX_DUE or self._held_bytes > self._max_held_bytes * 1.25

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while (due := self._next()) is not None:
                self._write(due)
        except BaseException as error:  # handed to whoever calls next
            self._failure = error
            with self._changed:
                self._changed.notify_all()
        finally:
            for tape in self._tapes.values():
                self._finish(tape)

    def _finish(self, tape: Tape) -> None:
        try:
            if tape.video is not None:
                tape.video.close()
        except (VideoError, OSError) as error:
            self._failure = self._failure or error

    def _next(self) -> Due | None:
        """The next frame that is due, with what is known of it by now; waits for one. None when all is written."""
        with self._changed:
            while True:
                tape = self._due_tape()
                if tape is not None:
                    break
                if self._closing:
                    return None
                self._changed.wait(0.5)
            fps = frame_rate(tape)
            held = tape.held.popleft()
            self._held_bytes -= len(held.image)
            self._changed.notify_all()
            faces = [Presence(p.track_id, scaled(p.box, held), p.seen) for p in tape.presences.at(held.at_us)]
            tape.presences.forget_before(held.at_us)
            tape.patches.keep_only(set(tape.presences.tracks()))
            return Due(tape, held, faces, dict(tape.alerts), fps)

    def _due_tape(self) -> Tape | None:
        tapes = [tape for tape in self._tapes.values() if tape.held]
        for tape in tapes:
            if self._closing or next(tape.due(self._delay_us), None) is not None:
                return tape
        full = self._held_bytes > self._max_held_bytes
        return max(tapes, key=lambda tape: len(tape.held)) if full and tapes else None

    def _write(self, due: Due) -> None:
        tape, held = due.tape, due.held
        picture = annotated(decode(held.image), due.faces, due.alerts, tape.patches, soften=self._soften)
        if tape.size is None:
            tape.size = (picture.shape[1], picture.shape[0])
            tape.video = WebmFile(self._path(tape), due.fps, tape.size[0], tape.size[1] + CAPTION_HEIGHT_PX)
        elif tape.size != (picture.shape[1], picture.shape[0]):  # the camera came back with another picture size
            picture = np.asarray(cv2.resize(picture, tape.size, interpolation=cv2.INTER_AREA), np.uint8)
        assert tape.video is not None
        caption = f"{self._title}  {tape.camera_id}  {iso(held.at_us)}"
        tape.video.write(with_caption(picture, caption, "everybody without an alert is unclear"), held.at_us)

    def _path(self, tape: Tape) -> Path:
        return self._out_dir / f"{tape.camera_id}{SUFFIX}"
