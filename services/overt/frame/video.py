"""Video files, animated GIFs, network and USB cameras, through OpenCV's VideoCapture."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import cv2
import numpy as np

from overt.frame.reader import BadImage, EndOfSource, Fault, Grabbed, Reading
from overt.frame.source import CameraError
from overt.picture import MAX_PIXELS, Bgr
from overt.ports import Clock

_USUAL_FPS = 25.0  # for streams that declare neither times nor a rate
_SHORT_BY = 0.01  # a file that lacks more than this share of what it declares is called damaged


class VideoReader(Reading):
    """Reads an opened capture.

    A file's image has the presentation time that its container states, counted from the file's first; where it states
    none (raw H.264) or one that does not rise, one frame interval after the image before. A live camera's image has the
    time since opening by `clock`. FFmpeg conceals damage inside an image, so only missing images are noticed.
    """

    def __init__(
        self, capture: cv2.VideoCapture, name: str, *, clock: Clock | None = None, damage: str | None = None
    ) -> None:
        self._capture = capture
        self._name = name
        self._clock = clock
        self._damage = damage
        self._opened_at_us = clock() if clock is not None else 0
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        self._interval_us = round(1e6 / (fps if 0.1 <= fps <= 1000 else _USUAL_FPS))
        self._next = 0
        self._last_us = -1
        width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        if width * height > MAX_PIXELS:
            capture.release()
            raise CameraError(
                f"{name}: its images of {width:.0f}x{height:.0f} are larger than the {MAX_PIXELS} pixels that are"
                " accepted; scale it down, or set the camera to a smaller stream"
            )

    def grab(self) -> Grabbed | EndOfSource:
        try:
            grabbed = self._capture.grab()
        except cv2.error:
            grabbed = False
        if not grabbed:
            return self._end()
        time_us = self._time_us()
        self._last_us = time_us
        self._next += 1
        return Grabbed(self._next - 1, time_us)

    def retrieve(self) -> Bgr | BadImage:
        number = self._next - 1
        try:
            ok, image = self._capture.retrieve()
        except cv2.error:
            return BadImage(number, Fault.UNDECODABLE)
        if not ok or image is None or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            return BadImage(number, Fault.UNDECODABLE)
        if image.shape[0] * image.shape[1] > MAX_PIXELS:  # the size of a stream can change on its way
            return BadImage(number, Fault.TOO_LARGE)
        return np.asarray(image, np.uint8)

    def close(self) -> None:
        self._capture.release()

    def _time_us(self) -> int:
        if self._clock is not None:
            return max(self._last_us + 1, self._clock() - self._opened_at_us)
        stated_us = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1000)
        if self._last_us < 0:
            return max(0, stated_us)
        return stated_us if stated_us > self._last_us else self._last_us + self._interval_us

    def _end(self) -> EndOfSource:
        if self._next == 0 and self._clock is None:
            raise CameraError(f"{self._name}: not one image in this file can be decoded; check it with a video player")
        duration_us = self._last_us + self._interval_us if self._next else 0
        return EndOfSource(self._next, duration_us, self._damage or self._shortage(duration_us))

    def _shortage(self, duration_us: int) -> str | None:
        """Compares with what the container declares: both images and time must be short, since either alone is often
        an estimate (Matroska's count is, and a variable rate makes the time one)."""
        declared = float(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if self._clock is not None or not 0 < declared < 1e9:
            return None
        expected_us = declared * self._interval_us
        few = self._next + 2 < declared * (1 - _SHORT_BY)
        brief = duration_us + 2 * self._interval_us < expected_us * (1 - _SHORT_BY)
        if not (few and brief):
            return None
        return f"about {declared:.0f} images are declared and {self._next} could be read: it is cut short or damaged"


@functools.cache
def _set_up_opencv() -> None:
    """Settings that OpenCV takes from the process's environment only, when a capture is opened.

    Without the first, one lock guards every opening in the process, and a single camera that accepts a connection and
    says nothing keeps all others from being opened (measured); FFmpeg has needed no such lock since version 4. The
    others keep FFmpeg's and OpenCV's own lines, hundreds for one damaged stream, out of the log, where our own say what
    happened; whoever sets OPENCV_LOG_LEVEL to INFO or more gets them.
    """
    os.putenv("OPENCV_FFMPEG_IS_THREAD_SAFE", "1")
    logging = cv2.utils.logging
    if logging.getLogLevel() <= logging.LOG_LEVEL_WARNING:
        logging.setLogLevel(logging.LOG_LEVEL_ERROR)
        os.putenv("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET


def open_video(path: Path) -> VideoReader:
    """Opens a video file or animated GIF. Raises CameraError."""
    _check_file(path)
    _set_up_opencv()
    # The protocol is named, else FFmpeg takes a file name with a colon for an address.
    capture = cv2.VideoCapture("file:" + str(path.absolute()), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if not capture.isOpened():
        raise CameraError(
            f"{path}: this is no video that can be read, or it was cut off before its index; expected MP4, MKV, AVI,"
            " MOV, WebM or GIF: check it with a video player, or write it again with another program"
        )
    return VideoReader(capture, str(path), damage=_gif_damage(path))


def open_rtsp(url: str, name: str, *, clock: Clock, open_s: float, read_s: float) -> VideoReader:
    """Opens a network camera over TCP (OpenCV asks FFmpeg for `prefer_tcp`). Raises CameraError.

    `open_s` and `read_s` are FFmpeg's own timeouts. A read can take up to three times as long (measured: it retries),
    which is why somebody outside the call has to watch; they make a call that was given up end by itself.
    """
    _set_up_opencv()
    options = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(open_s * 1000)]
    options += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(read_s * 1000)]
    # One decoding thread: with more, FFmpeg holds back as many frames as it has threads.
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, [*options, cv2.CAP_PROP_N_THREADS, 1])
    if not capture.isOpened():
        raise CameraError(
            f"{name}: the camera does not answer, refuses the user or password, or has no video at this path;"
            " check address, network and credentials with a video player"
        )
    return VideoReader(capture, name, clock=clock)


def open_usb(index: int, *, clock: Clock) -> VideoReader:
    """Opens a camera of this machine by its number. Raises CameraError."""
    _set_up_opencv()
    capture = cv2.VideoCapture(index)
    if not capture.isOpened():
        raise CameraError(
            f"usb:{index}: no camera of this number can be opened; plug it in, close other programs that use it, and"
            " check the rights on /dev/video*"
        )
    return VideoReader(capture, f"usb:{index}", clock=clock)


def _check_file(path: Path) -> None:
    if not path.exists():
        raise CameraError(f"{path}: there is no such file; give the path of a video file, a GIF or a folder of images")
    if not path.is_file():
        raise CameraError(f"{path}: this is neither a file nor a folder; a camera of this machine is written usb:0")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise CameraError(f"{path}: the file cannot be read ({error.strerror}); check its rights") from None
    if empty:
        raise CameraError(f"{path}: the file is empty; copy or record it again")


def _gif_damage(path: Path) -> str | None:
    """A GIF does not declare how many images it has, but ends with a trailer byte (GIF89a, section 27)."""
    with path.open("rb") as file:
        if file.read(4) != b"GIF8":
            return None
        file.seek(-min(64, path.stat().st_size), 2)
        return None if b";" in file.read().rstrip(b"\0")[-1:] else "the GIF has no trailer: it is cut short"
