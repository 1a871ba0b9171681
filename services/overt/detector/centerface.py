"""CenterFace: a heat map of face centres with sizes, offsets and landmarks (Xu et al. 2019, arXiv:1911.03599)."""

from __future__ import annotations

import numpy as np

from overt.detector.detections import Detections, Infer, no_faces, select
from overt.models.card import DetectorCard
from overt.models.preprocess import to_input
from overt.picture import Bgr

_STRIDE_PX = 4
_LARGEST_LOG = 8.0  # exp of it is 2981 cells of 4 px: no face is larger; more is a broken output and would overflow


class CenterFace:
    """See `overt.detector.detections.Detector`."""

    smallest_face_px = 18.0  # 99 % of LFW's faces are found at 24 px of height (which is 18 of width), 90 % at 20
    sure_score: float

    def __init__(self, card: DetectorCard, infer: Infer) -> None:
        self._card = card
        self._infer = infer
        self.sure_score = card.score_threshold

    def detect(self, bgr: Bgr, floor: float) -> Detections:
        """Each cell of the heat map at or above `floor` is one candidate."""
        height, width = bgr.shape[:2]
        maps = self._infer(to_input(self._card, bgr[None]))
        heat = maps["heatmap"][0, 0]
        row, column = np.nonzero(heat >= floor)  # NaN is not
        if not len(row):
            return no_faces()
        high, wide = np.exp(np.minimum(maps["scale"][0, :, row, column], _LARGEST_LOG)).T * _STRIDE_PX
        down, right = maps["offset"][0, :, row, column].T
        left = (column + right + 0.5) * _STRIDE_PX - wide / 2
        top = (row + down + 0.5) * _STRIDE_PX - high / 2
        corner = np.stack([left, top], 1)
        size = np.stack([wide, high], 1)
        # Landmarks come as y, x in fractions of the box.
        points = maps["landmarks"][0, :, row, column].reshape(-1, 5, 2)[:, :, ::-1] * size[:, None] + corner[:, None]
        xyxy = np.concatenate([corner, corner + size], 1)
        return select(xyxy, heat[row, column], points, width, height)
