"""From landmarks to the chip that an embedding model takes: a similarity transform to the model's template.

Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (IEEE PAMI 13, 1991).
Coordinates are those of OpenCV's warps: a pixel's centre is whole.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from overt.picture import Bgr

Doubles = NDArray[np.float64]

_LEAST_SPREAD_PX = 2.0  # root mean square distance of landmarks from their centre; below it they show no direction
_MOST_SHRINK = 2.0  # bilinear sampling skips pixels beyond it, and skipped pixels are noise to the model


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> Doubles | None:
    """The matrix [2, 3] of the rotation, scale and shift (no mirroring) that brings `source` nearest to `target`.

    Both are [N, 2], x, y. None where a number is not finite or the points of `source` coincide.
    """
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        return None
    from_xy, to_xy = source.astype(np.float64), target.astype(np.float64)
    from_mean, to_mean = from_xy.mean(0), to_xy.mean(0)
    from_xy, to_xy = from_xy - from_mean, to_xy - to_mean
    spread = float((from_xy**2).sum())
    if spread < len(source) * _LEAST_SPREAD_PX**2:
        return None
    # In the plane the optimum has a closed form: the pairs' mean scalar and cross products.
    a = float((from_xy * to_xy).sum()) / spread
    b = float((from_xy[:, 0] * to_xy[:, 1] - from_xy[:, 1] * to_xy[:, 0]).sum()) / spread
    if a * a + b * b < 1e-12:
        return None
    turn = np.array([[a, -b], [b, a]])
    return np.column_stack([turn, to_mean - turn @ from_mean])


class Aligner:
    """Cuts chips for one embedding model: its template [5, 2] in pixels of its square chip."""

    def __init__(self, template_xy: NDArray[np.floating], chip_px: int) -> None:
        if template_xy.shape != (5, 2) or chip_px < 1:
            raise ValueError(f"five points and a chip are needed, not {list(template_xy.shape)} and {chip_px} px")
        self.template_xy: Doubles = template_xy.astype(np.float64)
        self.chip_px = chip_px

    def chip(self, bgr: Bgr, landmarks: NDArray[np.floating]) -> Bgr | None:
        """The aligned chip, uint8 [S, S, 3]; black where it leaves the image. None for landmarks that are no face.

        `bgr` is uint8 [H, W, 3]; `landmarks` [5, 2] are in its pixels. Raises nothing.
        """
        matrix = similarity(landmarks, self.template_xy)
        if matrix is None:
            return None
        shrink = 1 / float(np.hypot(matrix[0, 0], matrix[1, 0]))
        if shrink * self.chip_px > 2 * max(bgr.shape[:2]):
            return None  # a face larger than the image
        part, left, top = self._around(bgr, matrix)
        if not part.size:
            return None
        step = max(1, round(shrink / _MOST_SHRINK))
        if step > 1:
            columns, rows = -(-part.shape[1] // step), -(-part.shape[0] // step)
            padded = cv2.copyMakeBorder(
                part, 0, rows * step - part.shape[0], 0, columns * step - part.shape[1], cv2.BORDER_REPLICATE
            )
            part = np.asarray(cv2.resize(padded, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
        # A pixel x of the part is the pixel left + step * x + (step - 1) / 2 of the image.
        to_image = np.array([[step, 0, left + (step - 1) / 2], [0, step, top + (step - 1) / 2], [0, 0, 1.0]])
        size = (self.chip_px, self.chip_px)
        return np.asarray(cv2.warpAffine(part, matrix @ to_image, size, flags=cv2.INTER_LINEAR), np.uint8)

    def _around(self, bgr: Bgr, matrix: Doubles) -> tuple[Bgr, int, int]:
        """The part of the image under the chip, with its corner: OpenCV's warps refuse sides above 32,767 px."""
        back = np.linalg.inv(matrix[:, :2])
        side = float(self.chip_px)
        corners = (np.array([[0, 0], [side, 0], [0, side], [side, side]]) - matrix[:, 2]) @ back.T
        height, width = bgr.shape[:2]
        left, top = np.clip(np.floor(corners.min(0)).astype(np.int64) - 1, 0, [width, height])
        right, bottom = np.clip(np.ceil(corners.max(0)).astype(np.int64) + 2, 0, [width, height])
        return bgr[top:bottom, left:right], int(left), int(top)
