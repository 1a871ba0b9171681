"""A picture on its way: pixels or an encoded file, whichever was handed over; the other is made when somebody asks.

Embedded, pixels pass from stage to stage and are never encoded; over a bus, bytes arrive and are decoded only by the
stage that looks at them. A picture never shows its content in a `repr`, so none can reach a log or an exception text.
"""

from __future__ import annotations

import struct
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Form = Literal["jpeg", "png"]
Bgr = NDArray[np.uint8]

MAX_PIXELS = 64_000_000
"""Largest picture that is decoded, in pixels: about twice an 8K frame. More is a hostile or broken file."""

_MOST_MARKERS = 4096
"""Markers and fill bytes before a JPEG says its size. A photograph has a few dozen; megabytes of them are hostile."""

_JPEG_QUALITY = 92
_PNG_COMPRESSION = 1  # level 1: a 720p frame in a third of the time of the default, 5 % larger


def use_threads(count: int) -> None:
    """Threads that OpenCV takes for one call, in the whole process. Its own choice is every core for the smallest of
    pictures, where its helpers burn more time waiting for work than they save: 3 % of the pipeline's."""
    cv2.setNumThreads(count)


class BadPicture(ValueError):
    """Bytes that are no picture, or one that is refused for its size. The text never holds content."""


class Picture:
    """One image, uint8 [H, W, 3] in BGR order, decoded or encoded (JPEG or PNG)."""

    __slots__ = ("_bgr", "_encoded")

    def __init__(self, *, bgr: Bgr | None = None, encoded: bytes | None = None) -> None:
        if (bgr is None) == (encoded is None):
            raise ValueError("a Picture is made of pixels or of encoded bytes: give exactly one")
        self._bgr = bgr
        self._encoded = encoded

    def bgr(self) -> Bgr:
        """The pixels, uint8 [H, W, 3]. Raises BadPicture when the bytes cannot be decoded or are too large."""
        if self._bgr is None:
            assert self._encoded is not None
            self._bgr = decode(self._encoded)
        return self._bgr

    def encoded(self, form: Form) -> bytes:
        """The file's bytes: as received, whatever its form, else encoded now as `form` (PNG is lossless)."""
        if self._encoded is None:
            assert self._bgr is not None
            self._encoded = encode(self._bgr, form)
        return self._encoded

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and bool(np.array_equal(self.bgr(), other.bgr()))

    __hash__ = None  # type: ignore[assignment]  # compared by content, so it has no cheap stable hash

    def __repr__(self) -> str:
        return "Picture(...)"


def encode(bgr: Bgr, form: Form) -> bytes:
    """Encodes uint8 [H, W, 3] BGR pixels. Raises BadPicture for what no file can hold, such as no pixels at all."""
    try:
        if form == "png":
            ok, data = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, _PNG_COMPRESSION])
        else:
            ok, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    except cv2.error:
        ok = False
    if not ok:
        raise BadPicture(f"pixels of shape {bgr.shape} could not be encoded as {form}")
    return data.tobytes()


def decode(encoded: bytes) -> Bgr:
    """Decodes a JPEG or PNG to uint8 [H, W, 3] BGR. Its declared size is checked before anything is allocated."""
    width, height = declared_size(encoded)
    if width * height > MAX_PIXELS:
        raise BadPicture(f"a picture of {width}x{height} is larger than the {MAX_PIXELS} pixels that are accepted")
    try:
        bgr = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise BadPicture("the picture's bytes could not be decoded") from error
    if bgr is None:
        raise BadPicture("the picture's bytes could not be decoded")
    return np.asarray(bgr, np.uint8)


def declared_size(encoded: bytes) -> tuple[int, int]:
    """(width, height) as a JPEG's or PNG's header declares it (ITU-T T.81 B.2.2; PNG 11.2.2). Raises BadPicture."""
    if encoded[:8] == b"\x89PNG\r\n\x1a\n" and len(encoded) >= 24:
        width, height = struct.unpack(">II", encoded[16:24])
        return width, height
    if encoded[:2] == b"\xff\xd8":
        return _jpeg_size(encoded)
    raise BadPicture("the bytes are neither a JPEG nor a PNG")


def _jpeg_size(encoded: bytes) -> tuple[int, int]:
    at = 2
    for _ in range(_MOST_MARKERS):
        if at + 9 > len(encoded) or encoded[at] != 0xFF:
            break
        marker = encoded[at + 1]
        if marker in (0x00, 0xD9):  # not a marker: decoders look for the next one, and a second header could hide there
            break
        if marker == 0xFF or 0xD0 <= marker <= 0xD8 or marker == 0x01:  # fill byte, or a marker without a segment
            at += 1 if marker == 0xFF else 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a start of frame
            height, width = struct.unpack(">HH", encoded[at + 5 : at + 9])
            return width, height
        at += 2 + struct.unpack(">H", encoded[at + 2 : at + 4])[0]
    raise BadPicture("the JPEG ends before it says its size")
