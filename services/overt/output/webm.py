"""A video file that browsers play: WebM with VP8 (RFC 6386).

The OpenCV that is installed from a package registry carries libvpx and no H.264 encoder; its MPEG-4 Part 2 (`mp4v`)
plays in no browser. VP9 plays too and takes four times as long to write.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from overt.output.private import make_anew
from overt.picture import Bgr

SUFFIX = ".webm"
LONGEST_STILL_S = 2.0
"""A gap in the frames is shown by holding the last one, for this long at most."""

_SEGMENT = b"\x18\x53\x80\x67"
"""The id of the element that holds the whole video (RFC 9559, 5.1); its size follows in eight bytes."""

# OpenCV prints this for every WebM, though the file is right (opencv/opencv#8919).
_NOISE = re.compile(rb"OpenCV: FFMPEG: tag 0x[0-9a-f]+/'VP80' is not supported[^\n]*\n")


class VideoError(RuntimeError):
    """A video cannot be written; the text says which and what to do."""


class WebmFile:
    """One video of constant frame rate, from frames that have a time of their own."""

    def __init__(self, path: Path, fps: float, width: int, height: int) -> None:
        """`width` and `height` in pixels, both even. Makes the file anew, for few to read; raises VideoError."""
        self._path = path
        self._fps = fps
        self._size = (width, height)
        self._first_us: int | None = None
        self._slots = 0
        self._last: Bgr | None = None
        try:
            make_anew(path)  # which OpenCV would make for everybody to read
        except OSError as error:
            raise VideoError(f"{path}: cannot be written ({error.strerror})") from error
        with _without_noise():
            self._writer = cv2.VideoWriter(
                str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"VP80"), fps, (width, height)
            )
        if not self._writer.isOpened():
            raise VideoError(
                f"{path}: this OpenCV writes no VP8 video, or the folder cannot be written;"
                " install opencv-python-headless from the package registry, or run without --annotate"
            )

    def write(self, bgr: Bgr, at_us: int) -> None:
        """Adds the frame of that time, uint8 [H, W, 3]; a shorter time than a slot since the last one is skipped."""
        if self._first_us is None:
            self._first_us = at_us
        slot = round((at_us - self._first_us) * self._fps / 1e6)
        still = min(slot - self._slots, round(LONGEST_STILL_S * self._fps))
        if slot > self._slots + still:  # a long gap is cut out of the video
            self._first_us += round((slot - self._slots - still) * 1e6 / self._fps)
            slot = self._slots + still
        if slot < self._slots:
            return
        for _ in range(still):
            if self._last is not None:
                self._writer.write(self._last)
        self._writer.write(bgr)
        self._slots = slot + 1
        self._last = bgr

    def close(self) -> None:
        """Finishes the file. Raises VideoError when it is not whole, which no `write` is told of."""
        self._writer.release()
        if self._slots and not _is_whole(self._path):
            raise VideoError(f"{self._path}: the video could not be written to its end; is the disk full?")


def _is_whole(path: Path) -> bool:
    """Whether the file ends where it says that it does: until it is finished it says that this is unknown."""
    with path.open("rb") as file:
        head = file.read(256)
        at = head.find(_SEGMENT) + len(_SEGMENT)
        said = int.from_bytes(head[at + 1 : at + 8], "big")  # the first of the eight bytes tells their number
        return at >= len(_SEGMENT) and at + 8 + said == file.seek(0, os.SEEK_END)


@contextmanager
def _without_noise() -> Iterator[None]:
    """Holds back what is printed on the standard error file for a moment, and prints all of it but OpenCV's line."""
    try:
        stream = sys.__stderr__.fileno() if sys.__stderr__ is not None else 2
        kept = os.dup(stream)
    except (OSError, ValueError):  # there is no standard error to keep clean
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), stream)
        try:
            yield
        finally:
            os.dup2(kept, stream)
            os.close(kept)
            held.seek(0)
            os.write(stream, _NOISE.sub(b"", held.read()))
