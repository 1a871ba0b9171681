"""Where faces are, at the least cost: look for them in a reduced image, look again only at those that are wanted.

A pass of the network costs in proportion to pixels, so an image is reduced until the smallest face that is wanted is
as small as the detector reliably finds. Landmarks of such small faces are too coarse to align by: on 700 images of
LFW with faces reduced to 20 px of height, TAR at FMR 1e-3 falls from 0.95 to 0.84 (CenterFace, dlib ResNet-v1) and from
0.97 to 0.58 (YuNet-s, MobileFaceNet). A second look at a face of full resolution, on 96 x 96 px, brings back all of it
(0.95 and 0.98) for about 1.3 and 0.3 ms a face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np

from overt.detector.detections import Detections, Detector, Floats
from overt.picture import Bgr

FLOOR = 0.6
"""Fraction of the sure score down to which a detection may continue a track (the low scores of ByteTrack)."""

_MOST_PIXELS = 8_300_000  # of a reduced image: a 4K frame; a larger one is reduced further, so that memory has a bound
_LOOK_PX = 96  # side of the second look's image: a multiple of 32, see above for what it costs and gives
_MOST_OBLONG = 4.0  # longer by shorter side; a strip at the image's edge is no face to look at
_FACE_PX = 60  # longer side of the face in it; the rest shows hair, ears and chin, without which scores fall


@dataclass(frozen=True, slots=True)
class Look:
    """A face seen again at full resolution."""

    landmarks: Floats = field(repr=False)  # it must never reach a log
    """float32 [5, 2], pixels of the image."""
    score: float


class Locator:
    """Finds faces whose box has a shorter side of at least `min_face_px` pixels, and somewhat smaller ones."""

    def __init__(self, detector: Detector, *, min_face_px: float, sure_score: float | None = None) -> None:
        self._detector = detector
        self._scale = min(1.0, detector.smallest_face_px / max(min_face_px, 1.0))
        self.sure_score = detector.sure_score if sure_score is None else sure_score
        """Score from which a detection may begin a track: the detector's own unless another is given."""

    def locate(self, bgr: Bgr) -> Detections:
        """All faces in uint8 [H, W, 3] down to `FLOOR` of the sure score. Landmarks are coarse: see `look`."""
        height, width = bgr.shape[:2]
        scale = min(self._scale, math.sqrt(_MOST_PIXELS / (height * width)))
        if scale >= 1:
            return self._detector.detect(bgr, FLOOR * self.sure_score)
        columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
        # Bilinear and not by area: six times faster, and what aliases at these factors (above 1/2) is no face.
        how = cv2.INTER_LINEAR if scale > 0.5 else cv2.INTER_AREA
        reduced = np.asarray(cv2.resize(bgr, (columns, rows), interpolation=how), np.uint8)
        found = self._detector.detect(reduced, FLOOR * self.sure_score)
        return found.enlarged(width / columns, height / rows)

    def look(self, bgr: Bgr, xyxy: Floats) -> Look | None:
        """The face in the box [4], at full resolution; None when a second look finds no face there."""
        x1, y1, x2, y2 = (float(v) for v in xyxy)
        if not 1 / _MOST_OBLONG <= (x2 - x1) / (y2 - y1) <= _MOST_OBLONG:
            return None
        side = max(x2 - x1, y2 - y1) * _LOOK_PX / _FACE_PX
        left, top = round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2)
        whole = max(1, round(side))
        image = _square(bgr, left, top, whole)
        found = self._detector.detect(image, FLOOR * self.sure_score)
        if not len(found):
            return None
        centres = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2
        off = np.linalg.norm(centres - _LOOK_PX / 2, axis=1)
        nearest = int(np.argmin(off))
        if off[nearest] > _FACE_PX / 2:
            return None  # that is a neighbour
        landmarks = found.landmarks[nearest] * np.float32(whole / _LOOK_PX) + np.array([left, top], np.float32)
        return Look(landmarks.astype(np.float32), float(found.scores[nearest]))

    def locate_precisely(self, bgr: Bgr) -> Detections:
        """Every sure face with landmarks of a second look, as reference images need them; for one image at a time."""
        found = self.locate(bgr)
        looks = [
            self.look(bgr, box) if score >= self.sure_score else None
            for box, score in zip(found.xyxy, found.scores, strict=True)
        ]
        kept = [i for i, look in enumerate(looks) if look is not None]
        landmarks = np.array([look.landmarks for look in looks if look is not None], np.float32).reshape(-1, 5, 2)
        return Detections(found.xyxy[kept], found.scores[kept], landmarks)


def _square(bgr: Bgr, left: int, top: int, side: int) -> Bgr:
    """The square of that side as an image of `_LOOK_PX`; black where it leaves the image."""
    part = bgr[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)]
    above, before = max(0, -top), max(0, -left)
    below, behind = side - part.shape[0] - above, side - part.shape[1] - before
    if above or before or below or behind:
        part = np.asarray(cv2.copyMakeBorder(part, above, below, before, behind, cv2.BORDER_CONSTANT), np.uint8)
    how = cv2.INTER_AREA if side > 2 * _LOOK_PX else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (_LOOK_PX, _LOOK_PX), interpolation=how), np.uint8)
