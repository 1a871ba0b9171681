"""A photograph changed as if somebody had photographed it again: another view, softer, noisier, other light.

Not another picture of the person: what is shown in this way is labelled `synthetic re-photograph` wherever it appears.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Bgr = NDArray[np.uint8]
Xyxy = tuple[float, float, float, float]

LABEL = "synthetic re-photograph"


def rephotograph(bgr: Bgr, face_xyxy: Xyxy, rng: np.random.Generator) -> tuple[Bgr, Xyxy]:
    """The picture seen at an angle, blurred, noisy and with another gamma, and where the face's box has gone.

    `bgr` is uint8 [H, W, 3], the box in pixels. The corners move by up to 6 % of the width, the blur is about 2 % of
    the face's width, the gamma is 0.8 to 1.25, the noise has a standard deviation of 5 levels.
    """
    height, width = bgr.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + rng.uniform(-0.06, 0.06, (4, 2)).astype(np.float32) * np.float32(width)
    view = cv2.getPerspectiveTransform(corners, moved)
    seen = cv2.warpPerspective(bgr, view, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = cv2.GaussianBlur(seen, (0, 0), max(0.02 * (face_xyxy[2] - face_xyxy[0]), 0.5))
    gamma = float(np.exp(rng.uniform(np.log(0.8), np.log(1.25))))
    tint = rng.uniform(0.94, 1.06, 3).astype(np.float32)
    light = np.power(seen.astype(np.float32) / 255.0, gamma) * 255.0 * tint
    light += 5.0 * rng.standard_normal(light.shape, dtype=np.float32)
    x1, y1, x2, y2 = face_xyxy
    box = np.array([[[x1, y1], [x2, y1], [x2, y2], [x1, y2]]], np.float32)
    across, down = cv2.perspectiveTransform(box, view)[0].T
    # The middle of each side: the bounding box of a tilted quadrilateral would be too large.
    left, right = float(np.sort(across)[:2].mean()), float(np.sort(across)[2:].mean())
    top, bottom = float(np.sort(down)[:2].mean()), float(np.sort(down)[2:].mean())
    return np.clip(light, 0, 255).astype(np.uint8), (left, top, right, bottom)
