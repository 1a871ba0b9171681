"""YuNet: an anchor-free detector on three strides (Wu, Peng and Yu 2023, doi:10.1007/s11633-023-1423-y)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from overt.detector.detections import Detections, Floats, Infer, no_faces, select
from overt.models.card import DetectorCard
from overt.models.preprocess import to_input
from overt.picture import Bgr

_STRIDES_PX = (8, 16, 32)
_LARGEST_LOG = 8.0  # exp of it is 2981 cells: no face is larger; more is a broken output and would overflow


class YuNet:
    """See `overt.detector.detections.Detector`. Fits the sizes n and s."""

    smallest_face_px = 18.0  # 99.6 % of LFW's faces are found at 24 px of height, 92 % at 20
    sure_score: float

    def __init__(self, card: DetectorCard, infer: Infer) -> None:
        self._card = card
        self._infer = infer
        self.sure_score = card.score_threshold

    def detect(self, bgr: Bgr, floor: float) -> Detections:
        """Each cell of a stride is a candidate; its score is the geometric mean of class and object scores."""
        height, width = bgr.shape[:2]
        tensor = to_input(self._card, bgr[None])
        outputs = self._infer(tensor)
        scores = np.sqrt(_share(_all(outputs, "cls")[:, 0]) * _share(_all(outputs, "obj")[:, 0]))
        found = np.nonzero(scores >= floor)[0]  # NaN is not
        if not len(found):
            return no_faces()
        corner, stride = (a[found] for a in _cells(tensor.shape[2], tensor.shape[3]))
        box = _all(outputs, "bbox")[found]
        centre = corner + box[:, :2] * stride
        half = np.exp(np.minimum(box[:, 2:], _LARGEST_LOG)) * stride / 2
        points = _all(outputs, "kps")[found].reshape(-1, 5, 2) * stride[:, None] + corner[:, None]
        xyxy = np.concatenate([centre - half, centre + half], 1)
        return select(xyxy, scores[found], points, width, height)


def _share(scores: Floats) -> Floats:
    """Within 0 and 1; NaN stays NaN."""
    return np.minimum(np.maximum(scores, 0), 1)


def _all(outputs: Mapping[str, Floats], kind: str) -> Floats:
    return np.concatenate([outputs[f"{kind}_{stride}"][0] for stride in _STRIDES_PX])


@lru_cache(maxsize=16)
def _cells(height: int, width: int) -> tuple[Floats, Floats]:
    """Each cell's corner, float32 [cells, 2], x first, and its stride, float32 [cells, 1]; both in pixels."""
    corners, strides = [], []
    for stride in _STRIDES_PX:
        y, x = np.mgrid[0 : height // stride, 0 : width // stride]
        corners.append(np.stack([x.ravel(), y.ravel()], 1) * stride)
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)
