"""Draws one walker onto a frame: shadow, legs, cut-out, with the smear of movement and the blur of the lens."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from overt.demo.figure import HIP_BELOW_FACE, Figure
from overt.demo.walk import Pose, Xyxy

Bgr = NDArray[np.uint8]
Plane = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Brush:
    """How one walker is drawn in one frame."""

    smear_xy: tuple[float, float]
    """Movement while the shutter was open, pixels."""
    blur_px: float
    gain: float
    """Light on the walker: 1 leaves the photograph's brightness."""
    floor_y: float
    """Where the feet are, pixels from the top."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a drawn walker hides: alpha, uint8 [h, w], with its upper left corner at (x, y) of the frame."""

    x: int
    y: int
    alpha: Plane

    def hidden(self, xyxy: Xyxy) -> float:
        """The share of a box (pixels of the frame) that this walker hides, 0 to 1."""
        x1, y1, x2, y2 = (round(value) for value in xyxy)
        h, w = self.alpha.shape
        part = self.alpha[
            max(y1 - self.y, 0) : min(max(y2 - self.y, 0), h), max(x1 - self.x, 0) : min(max(x2 - self.x, 0), w)
        ]
        return float(part.sum()) / 255.0 / max((x2 - x1) * (y2 - y1), 1)


def draw(bgr: Bgr, figure: Figure, pose: Pose, brush: Brush) -> Stamp:
    """Draws the walker into `bgr` (uint8 [H, W, 3], changed in place) and returns what it hides."""
    level = figure.level(pose.face_px)
    scale = pose.face_px / level.face_px
    cos, sin = math.cos(pose.roll_radians) * scale, math.sin(pose.roll_radians) * scale
    turned = np.array([[cos * pose.turn, -sin], [sin * pose.turn, cos]])
    moved = np.array([pose.x, pose.y]) - turned @ np.array(level.face_xy)
    hip = np.array([pose.x, pose.y]) + turned @ np.array([0.0, HIP_BELOW_FACE * level.face_px])
    _shadow(bgr, pose, brush.floor_y)
    _legs(bgr, figure, pose, (float(hip[0]), float(hip[1])), brush)

    h, w = level.bgra.shape[:2]
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]]) @ turned.T + moved
    margin = 3 + max(abs(brush.smear_xy[0]), abs(brush.smear_xy[1])) / 2 + 2 * brush.blur_px
    x1, y1 = (int(max(math.floor(v), 0)) for v in corners.min(0) - margin)
    x2, y2 = (int(min(math.ceil(v), side)) for v, side in zip(corners.max(0) + margin, bgr.shape[1::-1], strict=True))
    if x2 <= x1 or y2 <= y1:
        return Stamp(0, 0, np.zeros((0, 0), np.uint8))
    matrix = np.hstack([turned, (moved - (x1, y1))[:, None]])
    patch = cv2.warpAffine(level.bgra, matrix, (x2 - x1, y2 - y1), flags=cv2.INTER_LINEAR)
    patch = _smeared(np.asarray(patch, np.uint8), brush)
    if pose.presence < 1:
        patch = np.asarray(cv2.convertScaleAbs(patch, alpha=pose.presence), np.uint8)
    alpha = np.asarray(patch[..., 3], np.uint8)
    light = cv2.convertScaleAbs(patch[..., :3], alpha=brush.gain)
    under = bgr[y1:y2, x1:x2]
    under[:] = cv2.add(cv2.multiply(under, cv2.merge([255 - alpha] * 3), scale=1 / 255), light)
    return Stamp(x1, y1, alpha)


def _smeared(patch: NDArray[np.uint8], brush: Brush) -> NDArray[np.uint8]:
    """The lens's blur, then the straight smear of movement, on premultiplied colour and alpha alike."""
    if brush.blur_px > 0:
        patch = np.asarray(cv2.GaussianBlur(patch, (0, 0), brush.blur_px), np.uint8)
    dx, dy = brush.smear_xy
    length = math.hypot(dx, dy)
    if length < 1.2:
        return patch
    half = math.ceil(length / 2)
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for along in np.linspace(-0.5, 0.5, 4 * half + 1):
        kernel[round(half + along * dy), round(half + along * dx)] += 1
    # Only as large as the line that it is: a straight way across costs a fifth of the whole square.
    across, down = (math.ceil(half * abs(d)) for d in (dx / length, dy / length))
    line = kernel[half - down : half + down + 1, half - across : half + across + 1]
    return np.asarray(cv2.filter2D(patch, -1, line / line.sum()), np.uint8)


def _shadow(bgr: Bgr, pose: Pose, floor_y: float) -> None:
    half_w, half_h = max(round(1.9 * pose.face_px), 2), max(round(0.42 * pose.face_px), 2)
    x1, y1 = round(pose.x) - half_w, round(floor_y) - half_h
    left, top = max(x1, 0), max(y1, 0)
    under = (
        bgr[top : y1 + 2 * half_h, left : x1 + 2 * half_w] if y1 + 2 * half_h > 0 and x1 + 2 * half_w > 0 else bgr[:0]
    )
    if not under.size:
        return
    down = (np.arange(under.shape[0], dtype=np.float32) + top - y1 - half_h) / half_h
    across = (np.arange(under.shape[1], dtype=np.float32) + left - x1 - half_w) / half_w
    dark = 0.5 * pose.presence * np.clip(1.0 - down[:, None] ** 2 - across[None, :] ** 2, 0, 1)
    under[:] = (under * (1.0 - dark[..., None])).astype(np.uint8)


def _legs(bgr: Bgr, figure: Figure, pose: Pose, hip: tuple[float, float], brush: Brush) -> None:
    """Two legs that take steps: one foot is lifted and a little narrower while the other stands."""
    unit = pose.face_px
    x1, x2 = max(round(hip[0] - 2 * unit), 0), min(round(hip[0] + 2 * unit), bgr.shape[1])
    y1, y2 = max(round(hip[1]), 0), min(round(brush.floor_y + 0.5 * unit), bgr.shape[0])
    if x2 <= x1 or y2 <= y1:
        return
    under = bgr[y1:y2, x1:x2]
    drawn = under.copy()
    for side in (-1, 1):
        lift = max(0.0, math.sin(pose.stride + (math.pi if side > 0 else 0.0)))
        foot_y = brush.floor_y - 0.55 * lift * unit
        shade = brush.gain * (1.0 - 0.25 * lift)
        outline = [(0.0, 0.0), (1.15, 0.0), (0.92, None), (0.36, None)]
        polygon = [(hip[0] + side * dx * unit - x1, (foot_y if dy is None else hip[1]) - y1) for dx, dy in outline]
        _fill(drawn, polygon, [channel * shade for channel in figure.trousers_bgr])
        shoe = (round((hip[0] + side * 0.66 * unit - x1) * 16), round((foot_y - y1) * 16))
        axes = (round(0.4 * unit * 16), round(0.24 * unit * 16))
        cv2.ellipse(drawn, shoe, axes, 0, 0, 360, (24, 24, 28), -1, cv2.LINE_AA, 4)
    under[:] = cv2.addWeighted(drawn, pose.presence, under, 1 - pose.presence, 0) if pose.presence < 1 else drawn


def _fill(bgr: Bgr, polygon: list[tuple[float, float]], colour: list[float]) -> None:
    points = np.round(np.array(polygon) * 16).astype(np.int32)
    cv2.fillPoly(bgr, [points], colour, cv2.LINE_AA, 4)
