"""What a detector says of one image, as columns, and the contract of a detector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from overt.picture import Bgr

Floats = NDArray[np.float32]
Numbers = NDArray[np.floating]
Infer = Callable[[Floats], Mapping[str, Floats]]
"""One pass of the network: its input tensor to its outputs by the names that the card gives them."""

MOST_FACES = 512
"""Faces of one image that are kept, best first. A dense crowd has fewer; noise made to exhaust the tracker has more."""
_MOST_CANDIDATES = 4096
_OVERLAP = (
    0.3  # intersection over union from which two boxes are one face: the value of CenterFace's and YuNet's authors
)


@dataclass(frozen=True, slots=True)
class Detections:
    """Faces of one image, the most certain first. A row is one face.

    Raises ValueError when the columns have other shapes or types, a number is not finite or a box has no area.
    """

    xyxy: Floats
    """float32 [N, 4]: left, top, right, bottom in pixels."""
    scores: Floats
    """float32 [N], 0 to 1."""
    landmarks: Floats = field(repr=False)  # it must never reach a log
    """float32 [N, 5, 2]: right eye (left in the image), left eye, nose, right and left mouth corner; x, y in pixels."""

    def __post_init__(self) -> None:
        count = len(self.scores)
        for name, shape in (("xyxy", (count, 4)), ("scores", (count,)), ("landmarks", (count, 5, 2))):
            column = getattr(self, name)
            if column.dtype != np.float32 or column.shape != shape:
                raise ValueError(f"{name}: float32 {list(shape)} expected, not {column.dtype} {list(column.shape)}")
            if not np.isfinite(column).all():
                raise ValueError(f"{name}: a number is not finite")
        if not (self.xyxy[:, 2:] > self.xyxy[:, :2]).all():
            raise ValueError("xyxy: a box has no area")

    def __len__(self) -> int:
        return len(self.scores)

    def enlarged(self, by_x: float, by_y: float) -> Detections:
        """The same faces in an image whose sides are longer by these factors."""
        by = np.array([by_x, by_y, by_x, by_y], np.float32)
        return Detections(self.xyxy * by, self.scores, self.landmarks * by[:2])


class Detector(Protocol):
    """A face detector. Pure: the same pixels give the same faces. Blocks for one pass of the network."""

    smallest_face_px: float
    """Shorter side of the smallest face's box that it finds reliably, in pixels of the image it is given."""
    sure_score: float
    """Score from which a detection is taken for a face without further evidence."""

    def detect(self, bgr: Bgr, floor: float) -> Detections:
        """All faces with at least the score `floor` in uint8 [H, W, 3], H and W at least 1, in its own pixels."""
        ...


def no_faces() -> Detections:
    """An image without a face."""
    return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))


def select(xyxy: Numbers, scores: Numbers, landmarks: Numbers, width: int, height: int) -> Detections:
    """Detections of a network's raw rows: boxes clipped to the image, senseless rows dropped, one row for each face.

    Columns as in `Detections`, of any floating type and finite or not. Greedy non-maximum suppression, the most certain
    first; rows of equal score keep their order.
    """
    best = np.argsort(-scores, kind="stable")[:_MOST_CANDIDATES]
    xyxy, scores, landmarks = xyxy[best], scores[best], landmarks[best]
    # NaN stays NaN, infinity does not. (np.clip does the same and takes four times as long for so few numbers.)
    xyxy = np.minimum(np.maximum(xyxy, 0), [width, height, width, height]).astype(np.float32)
    sides = xyxy[:, 2:] - xyxy[:, :2]
    whole = np.isfinite(landmarks).all((1, 2)) & np.isfinite(scores) & (sides > 0).all(1)
    if not whole.all():
        xyxy, sides, scores, landmarks = xyxy[whole], sides[whole], scores[whole], landmarks[whole]
    boxes = np.concatenate([xyxy[:, :2], sides], 1).tolist()
    kept = np.asarray(cv2.dnn.NMSBoxes(boxes, scores.tolist(), 0.0, _OVERLAP), np.intp).ravel()[:MOST_FACES]
    scores = np.minimum(np.maximum(scores[kept], 0), 1)
    return Detections(*(np.ascontiguousarray(column, np.float32) for column in (xyxy[kept], scores, landmarks[kept])))


def overlap(one: Floats, many: Floats) -> Floats:
    """Intersection over union of boxes [4] or [N, 1, 4] with boxes [M, 4]: float32 [M] or [N, M]."""
    corner = np.maximum(one[..., :2], many[..., :2])
    sides = np.clip(np.minimum(one[..., 2:], many[..., 2:]) - corner, 0, None)
    shared = sides[..., 0] * sides[..., 1]
    return np.asarray(shared / np.maximum(_area(one) + _area(many) - shared, 1e-9), np.float32)


def _area(xyxy: Floats) -> Floats:
    return np.asarray((xyxy[..., 2] - xyxy[..., 0]) * (xyxy[..., 3] - xyxy[..., 1]))
