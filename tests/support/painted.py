"""Painted faces and a detector that finds them, for tests that need exact truth and no model.

A face is a rectangle of blue 255 (sure) or 160 (of low score) with a texture in green and red, on a background without
blue. The detector works by colour on whatever image it is given, reduced or cut out, as a real one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from overt.detector.detections import Detections, Floats, no_faces
from overt.messages import Frame
from overt.picture import Bgr, Picture

SURE, LOW = 255, 160
POINTS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.57], [0.35, 0.75], [0.65, 0.75]], np.float32)
"""Landmarks in fractions of the box: frontal."""


@dataclass(frozen=True, slots=True)
class Painted:
    """A face to paint: its box's centre and size in pixels of the camera's image."""

    cx: float
    cy: float
    size: float
    blue: int = SURE
    texture: int = 1
    """Seed of its texture; 0 is flat, which no quality gate lets through."""


def paint(width: int, height: int, faces: Sequence[Painted]) -> Bgr:
    """The camera's image, later faces over earlier ones."""
    bgr = np.zeros((height, width, 3), np.uint8)
    bgr[..., 1:] = 70
    for face in faces:
        x1, y1 = round(face.cx - face.size / 2), round(face.cy - face.size / 2)
        side = round(face.size)
        skin = np.full((side, side, 3), (face.blue, 120, 120), np.uint8)
        if face.texture:
            coarse = np.random.default_rng(face.texture).integers(30, 220, (8, 8), np.uint8)
            skin[..., 1] = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_NEAREST)
        left, top, right, bottom = max(0, x1), max(0, y1), min(width, x1 + side), min(height, y1 + side)
        if left < right and top < bottom:
            bgr[top:bottom, left:right] = skin[top - y1 : bottom - y1, left - x1 : right - x1]
    return bgr


class PaintedDetector:
    """See `overt.detector.detections.Detector`."""

    smallest_face_px = 16.0
    sure_score = 0.5

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []
        """(width, height) of the images that were looked at."""

    def detect(self, bgr: Bgr, floor: float) -> Detections:
        """Connected regions with more than half of the low blue."""
        self.sizes.append((bgr.shape[1], bgr.shape[0]))
        blue = np.ascontiguousarray(bgr[..., 0])
        _, _, stats, _ = cv2.connectedComponentsWithStats((blue > LOW // 2).astype(np.uint8))
        boxes, scores = [], []
        for x, y, w, h, area in stats[1:]:
            middle = blue[y + h // 4 : y + h - h // 4, x + w // 4 : x + w - w // 4]
            score = 0.9 if middle.size and np.median(middle) > (SURE + LOW) / 2 else 0.4
            if score >= floor and area >= 9:
                boxes.append((x, y, x + w, y + h))
                scores.append(score)
        if not boxes:
            return no_faces()
        xyxy = np.array(boxes, np.float32)
        order = np.argsort(-np.array(scores), kind="stable")
        return Detections(xyxy[order], np.array(scores, np.float32)[order], landmarks_in(xyxy[order]))


def landmarks_in(xyxy: Floats) -> Floats:
    """Frontal landmarks [N, 5, 2] of boxes [N, 4]."""
    return (xyxy[:, None, :2] + POINTS * (xyxy[:, None, 2:] - xyxy[:, None, :2])).astype(np.float32)


def frame(
    number: int,
    at_s: float,
    faces: Sequence[Painted],
    *,
    epoch: int = 1,
    size: tuple[int, int] = (640, 360),
    end: bool = False,
) -> Frame:
    """Frame `number` of camera `gate`, captured `at_s` seconds after a fixed time."""
    width, height = size
    return Frame(
        camera_id="gate",
        source_epoch=epoch,
        frame_seq=number,
        captured_at_us=1_700_000_000_000_000 + round(at_s * 1e6),
        deadline_us=None,
        left=0,
        top=0,
        image_width=width,
        image_height=height,
        image=None if end else Picture(bgr=paint(width, height, faces)),
        end=end,
    )
