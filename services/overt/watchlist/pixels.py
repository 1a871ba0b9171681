"""From a reference image's bytes to pixels. The bytes are hostile until their header has been read.

A header says what decoding will cost: pixels for any file, and for a progressive JPEG one pass over all of them for
each of its scans, so that a small file of a thousand scans keeps a decoder busy for minutes.
"""

from __future__ import annotations

import cv2
import numpy as np

from overt.messages import Box
from overt.picture import MAX_PIXELS, BadPicture, Bgr, declared_size, decode

_MOST_WORK = 700_000_000
"""Pixels times scans: ten scans, as encoders write, of the largest picture."""
_LONGEST_SIDE_PX = 1280
"""Larger images are reduced first: a face that is enrolled from one is still far above what a model takes."""
_FORMS = (
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "an archive"),
    (b"<svg", "an SVG"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
)


def quiet() -> None:
    """Keeps OpenCV's own line on standard error back, which it writes for each damaged file: the reason for a refusal
    says more. Whoever sets OPENCV_LOG_LEVEL to INFO or more gets them."""
    logging = cv2.utils.logging
    if logging.getLogLevel() <= logging.LOG_LEVEL_WARNING:
        logging.setLogLevel(logging.LOG_LEVEL_ERROR)


def pixels_of(data: bytes) -> Bgr:
    """The upright image, uint8 [H, W, 3]: turned as its EXIF says, 8 bits a channel, no transparency. Raises
    BadPicture, in words for whoever chose the image."""
    if form := _other_form(data):
        raise BadPicture(f"is {form}; save it as a JPEG or PNG of one picture")
    width, height = declared_size(data)
    if width * height > MAX_PIXELS:
        most = MAX_PIXELS // 1_000_000
        raise BadPicture(f"has {width}x{height} pixels, {most} million at most are read; reduce it")
    scans = data.count(b"\xff\xda")  # never less than there are: in a scan's own data ff is followed by 0
    if data[:2] == b"\xff\xd8" and scans * width * height > _MOST_WORK:
        raise BadPicture(f"is a JPEG of {scans} scans over {width}x{height} pixels, as no camera writes; save it again")
    return decode(data)


def _other_form(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "a WebP"
    if data[4:8] == b"ftyp":
        return "an AVIF" if data[8:12] in (b"avif", b"avis") else "a HEIC or a film"
    if data[:8] == b"\x89PNG\r\n\x1a\n" and 0 <= data.find(b"acTL", 0, 4096) < data.find(b"IDAT"):
        return "an animated PNG"
    return next((name for begin, name in _FORMS if data.startswith(begin)), None)


def part_with(bgr: Bgr, box: Box) -> tuple[Bgr, Box]:
    """The part of an image around a box, as wide again on each side, and the box in it. Raises BadPicture for a box
    that lies outside the image."""
    height, width = bgr.shape[:2]
    if box.x1 >= width or box.y1 >= height:
        raise BadPicture(f"the box lies outside the image, which has {width}x{height} pixels")
    around = max(box.width, box.height)
    left, top = max(0, int(box.x1 - around)), max(0, int(box.y1 - around))
    part = bgr[top : min(height, int(box.y2 + around)), left : min(width, int(box.x2 + around))]
    return part, Box(box.x1 - left, box.y1 - top, box.x2 - left, box.y2 - top)


def reduced(bgr: Bgr) -> tuple[Bgr, float]:
    """The image with a longest side of `_LONGEST_SIDE_PX` at most, and by what its sides were multiplied."""
    factor = _LONGEST_SIDE_PX / max(bgr.shape[:2])
    if factor >= 1:
        return bgr, 1.0
    return np.asarray(cv2.resize(bgr, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8), factor
