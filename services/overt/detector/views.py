"""Pictures for a person's eyes: the face with a margin, and the scene; in both everybody else is unrecognisable."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from overt.picture import Bgr, Picture

Rect = tuple[int, int, int, int]
"""Left, top, right, bottom in whole pixels; right and bottom excluded."""

_MARGIN = 1.6  # sides of a thumbnail by those of the face's box
_THUMBNAIL_PX = 160
_CONTEXT_PX = 640
_BLUR_MARGIN = 1.4  # boxes end at brows and chin; hair, ears and jaw are hidden too
_BLOCKS = 4  # a face keeps 4 x 4 mean colours, 48 numbers: fewer than any template, and nothing undoes a mean


def thumbnail(bgr: Bgr, face: Sequence[float], others: Sequence[Sequence[float]]) -> Picture:
    """The face in the box `face` (left, top, right, bottom), at most 160 px a side, in memory of its own.

    Where other boxes reach into it they are blurred, except over the face's own box: there the face is what is seen.
    """
    rect = _enlarged(face, _MARGIN, bgr)
    scale = min(1.0, _THUMBNAIL_PX / max(rect[2] - rect[0], rect[3] - rect[1], 1))
    return _view(bgr, rect, scale, face, others)


def context(bgr: Bgr, face: Sequence[float], others: Sequence[Sequence[float]]) -> Picture:
    """The whole image, at most 640 px wide, everybody but the one in the box `face` blurred."""
    height, width = bgr.shape[:2]
    return _view(bgr, (0, 0, width, height), min(1.0, _CONTEXT_PX / width), face, others)


def _view(bgr: Bgr, rect: Rect, scale: float, face: Sequence[float], others: Sequence[Sequence[float]]) -> Picture:
    left, top, right, bottom = rect
    part = bgr[top:bottom, left:right]
    columns, rows = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    if scale < 1:
        view = np.asarray(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    else:
        view = part.copy()  # a view of the frame would keep the whole frame alive
    fx, fy = columns / max(1, right - left), rows / max(1, bottom - top)

    def here(box: Sequence[float], margin: float) -> Rect:
        x1, y1, x2, y2 = box
        return _enlarged(((x1 - left) * fx, (y1 - top) * fy, (x2 - left) * fx, (y2 - top) * fy), margin, view)

    x1, y1, x2, y2 = here(face, 1.0)
    own = view[y1:y2, x1:x2].copy()
    for other in others:
        hide(view, here(other, _BLUR_MARGIN))
    view[y1:y2, x1:x2] = own
    return Picture(bgr=view)


def hide(bgr: Bgr, rect: Rect) -> None:
    """Replaces the rectangle, in place, by the means of `_BLOCKS` x `_BLOCKS` blocks, smoothed."""
    left, top, right, bottom = rect
    part = bgr[top:bottom, left:right]
    if not part.size:
        return
    blocks = (min(_BLOCKS, part.shape[1]), min(_BLOCKS, part.shape[0]))
    means = cv2.resize(part, blocks, interpolation=cv2.INTER_AREA)
    bgr[top:bottom, left:right] = cv2.resize(means, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)


def _enlarged(box: Sequence[float], margin: float, inside: Bgr) -> Rect:
    """The box with its sides longer by `margin`, rounded outwards and cut at the image."""
    height, width = inside.shape[:2]
    x1, y1, x2, y2 = box
    dx, dy = (x2 - x1) * (margin - 1) / 2, (y2 - y1) * (margin - 1) / 2
    left, right = np.clip([np.floor(x1 - dx), np.ceil(x2 + dx)], 0, width).astype(int)
    top, bottom = np.clip([np.floor(y1 - dy), np.ceil(y2 + dy)], 0, height).astype(int)
    return int(left), int(top), int(right), int(bottom)
