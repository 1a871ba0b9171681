"""The authorised zone, cut out of a camera's image before anything leaves the process.

A pixel belongs to the zone when its centre, (column + 0.5, row + 0.5), lies inside the polygon by the even-odd rule.
A centre that lies exactly on an edge counts as inside on a left or upper edge and as outside on a right or lower one
(half-open, as in polygon rasterisers), so zones that share an edge share no pixel. Where a polygon overlaps itself the
doubly covered part is outside: in doubt less is captured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from overt.picture import Bgr

Point = tuple[float, float]
Mask = NDArray[np.uint8]

_SIZES_KEPT = 4  # a camera has one image size, and a second after somebody has changed its settings


class ZoneError(ValueError):
    """A polygon that encloses nothing, or no pixel of the image it was laid on."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The zone's bounding rectangle of one image, uint8 [h, w, 3] in memory of its own, pixels outside blanked to 0."""

    bgr: Bgr = field(repr=False)  # it must never reach a log
    left: int
    top: int


@dataclass(frozen=True, slots=True)
class _Stencil:
    """The zone on images of one size: rectangle (right and bottom excluded) and mask, None where all of it is inside.

    The mask is uint8 [h, w], 255 inside and 0 outside.
    """

    left: int
    top: int
    right: int
    bottom: int
    mask: Mask | None


class Zone:
    """A polygon in fractions of the image's width and height, (0, 0) its top left corner and (1, 1) its bottom right.

    Raises ZoneError when there are fewer than three corners or one is not within 0 and 1.
    """

    def __init__(self, polygon: Sequence[Point]) -> None:
        if len(polygon) < 3:
            raise ZoneError(f"a zone needs at least three corners, and {len(polygon)} are given")
        for number, (x, y) in enumerate(polygon, start=1):
            if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):  # also refuses NaN
                raise ZoneError(
                    f"corner {number} of the zone is ({x}, {y}); expected fractions of the image between 0 and 1:"
                    " divide pixels by the image's width and height"
                )
        self.polygon = tuple((float(x), float(y)) for x, y in polygon)
        self._stencils: dict[tuple[int, int], _Stencil] = {}

    def cut(self, bgr: Bgr) -> Cut:
        """The zone's rectangle of an image, uint8 [H, W, 3]. Raises ZoneError when the zone covers none of its pixels.

        The result never shares memory with `bgr`.
        """
        height, width = bgr.shape[:2]
        stencil = self._stencil(width, height)
        inside = bgr[stencil.top : stencil.bottom, stencil.left : stencil.right]
        if stencil.mask is None:
            return Cut(inside.copy(), stencil.left, stencil.top)
        blanked = np.zeros_like(inside, order="C", subok=False)
        cv2.copyTo(inside, stencil.mask, blanked)
        return Cut(blanked, stencil.left, stencil.top)

    def mask(self, width: int, height: int) -> Mask:
        """The zone on a whole image: uint8 [height, width], 255 inside and 0 outside."""
        stencil = self._stencil(width, height)
        whole = np.zeros((height, width), np.uint8)
        part = whole[stencil.top : stencil.bottom, stencil.left : stencil.right]
        part[:] = 255 if stencil.mask is None else stencil.mask
        return whole

    def _stencil(self, width: int, height: int) -> _Stencil:
        stencil = self._stencils.get((width, height))
        if stencil is None:
            stencil = _make_stencil(self.polygon, width, height)
            while len(self._stencils) >= _SIZES_KEPT:
                del self._stencils[next(iter(self._stencils))]
            self._stencils[width, height] = stencil
        return stencil


def cut(bgr: Bgr, zone: Zone) -> Cut:
    """`zone.cut(bgr)` as a function: rectangle with the outside blanked, and its left and top in the image's pixels."""
    return zone.cut(bgr)


def _make_stencil(polygon: Sequence[Point], width: int, height: int) -> _Stencil:
    # Only the rows and columns that the polygon spans are rasterised.
    top = math.floor(min(y for _, y in polygon) * height)
    bottom = min(height, math.ceil(max(y for _, y in polygon) * height))
    inside = _rasterise(polygon, width, height, top, bottom)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not rows.size:
        raise ZoneError(f"the zone covers no pixel of a {width}x{height} image; make it larger")
    first, last, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    part = inside[first:last, left:right]
    mask = None if part.all() else np.where(part, np.uint8(255), np.uint8(0))
    return _Stencil(left, top + first, right, top + last, mask)


def _rasterise(polygon: Sequence[Point], width: int, height: int, top: int, bottom: int) -> NDArray[np.bool_]:
    """bool [bottom - top, width]: which centres are inside. Scan lines with even-odd parity (Foley et al., Computer
    Graphics, 3.6): each crossing of a row's centre line flips every centre at or to the right of it."""
    centres = np.arange(top, bottom) + 0.5
    flips = np.zeros((bottom - top, width + 1), np.uint8)
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if y1 > y2:  # from the top down, so that zones on both sides of an edge round the same way
            x1, y1, x2, y2 = x2, y2, x1, y1
        ay, by = y1 * height, y2 * height
        crossed = np.flatnonzero((centres >= ay) & (centres < by))
        if crossed.size:
            x = (x1 + (centres[crossed] - ay) / (by - ay) * (x2 - x1)) * width
            column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.intp)
            flips[crossed, column] ^= 1  # one edge crosses a row once, so no index repeats
    return np.bitwise_xor.accumulate(flips[:, :width], axis=1).astype(np.bool_)
