"""Making faces unrecognisable for good.

A blur can be undone and a mosaic that moves over a face gives it away bit by bit, since each frame samples it anew
(Hill et al., "On the (In)effectiveness of Mosaicing and Blurring as Tools for Document Redaction", PETS 2016). So a
face is replaced: one coarse patch is taken of it once, and that same patch covers it in every frame of its track.
"""

from __future__ import annotations

import cv2
import numpy as np

from overt.messages import Box
from overt.output.presence import grown
from overt.picture import Bgr

MARGIN = 0.35
"""What is covered beyond a face's box on each side, in widths and heights of the box: ears, hair and chin."""
MARGIN_BESIDE_ALERT = 0.1
"""The same where it would hide the face of somebody who raised an alert."""
PATCH_CELLS = 4
"""Columns and rows of a patch: a face and what is around it become 16 colours, each in 16 steps."""
SURROUNDINGS_COLUMNS = 96
"""Columns to which everything that belongs to no alert is reduced, so that faces that nothing found are unclear too."""

Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom in whole pixels, inside the image; right and bottom excluded."""


def patch_of(bgr: Bgr, box: Box) -> Bgr | None:
    """What is kept of a face, uint8 [4, 4, 3]: averages of the covered area in steps of 16. None outside the image."""
    area = inside(bgr, grown(box, MARGIN))
    if area is None:
        return None
    x1, y1, x2, y2 = area
    cells = cv2.resize(bgr[y1:y2, x1:x2], (PATCH_CELLS, PATCH_CELLS), interpolation=cv2.INTER_AREA)
    return np.asarray(cells // 16 * 16 + 8, np.uint8)


def cover(bgr: Bgr, box: Box, patch: Bgr, margin: float = MARGIN) -> None:
    """Replaces a face in place by its patch, stretched over the box and a margin. Nothing of the pixels remains."""
    area = inside(bgr, grown(box, margin))
    if area is not None:
        x1, y1, x2, y2 = area
        bgr[y1:y2, x1:x2] = cv2.resize(patch, (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR)


def inside(bgr: Bgr, box: Box) -> Rectangle | None:
    """The box in whole pixels, outwards, cut at the image's edge; None when nothing is left."""
    height, width = bgr.shape[:2]
    x1, y1 = max(0, int(np.floor(box.x1))), max(0, int(np.floor(box.y1)))
    x2, y2 = min(width, int(np.ceil(box.x2))), min(height, int(np.ceil(box.y2)))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def softened(bgr: Bgr) -> Bgr:
    """The image without detail: reduced to 96 columns, enlarged again and blurred. A new uint8 [H, W, 3]."""
    height, width = bgr.shape[:2]
    columns = min(SURROUNDINGS_COLUMNS, max(1, width // 4))
    rows = max(1, round(height * columns / width))
    coarse = cv2.resize(bgr, (columns, rows), interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(coarse, (0, 0), 0.6)
    return np.asarray(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
