"""A street without anybody: a corridor of paving, two walls with windows and a hazy far end, seen by one camera.

Each pixel's ray is cut with the floor, the two walls and the far end of a straight corridor, and the nearest of them is
textured at the point that was hit. Lengths are in face widths (about 16 cm), the unit of the whole scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Bgr = NDArray[np.uint8]
_Plane = NDArray[np.float32]

HALF_WIDTH = 26.0
"""From the middle of the corridor to each wall, face widths."""
FAR_END = 190.0
"""Distance from the camera to where the haze hides everything, face widths."""
FOCAL = 1.35
"""Focal length as a multiple of the image's width: a lens of medium length, as one sees on a pole."""

_BRICK = np.array([118.0, 138.0, 160.0], np.float32)
_STONE = np.array([142.0, 140.0, 138.0], np.float32)
_HAZE = np.array([206.0, 200.0, 194.0], np.float32)  # BGR


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """Where the camera looks from. `horizon_y` and `centre_x` in pixels, `height` above the floor in face widths."""

    width: int
    height_px: int
    centre_x: float
    horizon_y: float
    height: float

    def scale(self, distance: float) -> float:
        """How many pixels a face is wide at `distance` face widths from the camera."""
        return FOCAL * self.width / distance


def street(view: Viewpoint, rng: np.random.Generator) -> Bgr:
    """The empty scene, uint8 [height_px, width, 3] BGR, the same for the same generator state."""
    rows, columns = np.mgrid[0 : view.height_px, 0 : view.width].astype(np.float32)
    focal = FOCAL * view.width
    ray_x = (columns - view.centre_x) / focal
    ray_y = (rows - view.horizon_y) / focal
    to_floor = np.where(ray_y > 1e-6, view.height / np.maximum(ray_y, 1e-6), np.inf)
    to_wall = HALF_WIDTH / np.maximum(np.abs(ray_x), 1e-6)
    distance = np.minimum(np.minimum(to_floor, to_wall), FAR_END).astype(np.float32)
    across, up = ray_x * distance, view.height - ray_y * distance
    floor = (to_floor <= to_wall) & (to_floor < FAR_END)
    wall = (to_wall < to_floor) & (to_wall < FAR_END)

    base = np.empty((view.height_px, view.width, 3), np.float32)
    base[:] = _far_end(across, up)
    base[floor] = _paving(across, distance, rng)[floor]
    brick = np.where((ray_x > 0)[..., None], _STONE, _BRICK)
    base[wall] = _facade(distance, up, brick, rng)[wall]
    base += 9.0 * _mottle(view, rng)[..., None]
    haze = (1.0 - np.exp(-np.square(distance / (0.75 * FAR_END))))[..., None]
    lit = (0.86 + 0.14 * (1.0 - rows / view.height_px))[..., None]
    out = (base * (1.0 - haze) + _HAZE * haze) * lit
    out = cv2.GaussianBlur(out, (0, 0), view.width / 1280 * 1.1)  # the camera is focused on the walkers
    return np.asarray(np.clip(out, 0, 255), np.uint8)


def _far_end(across: _Plane, up: _Plane) -> _Plane:
    tower = (np.abs(across + 9) < 7) & (up < 30)
    return np.where(tower[..., None], _HAZE * 0.88, _HAZE * (1.0 + 0.10 * np.clip(up / 80, 0, 1))[..., None])


def _paving(across: _Plane, distance: _Plane, rng: np.random.Generator) -> _Plane:
    slab_x, slab_z = np.floor(across / 4.0), np.floor(distance / 6.0)
    tone = _tone(slab_x, slab_z, rng)
    joint = (np.abs(across / 4.0 - slab_x - 0.5) > 0.485) | (np.abs(distance / 6.0 - slab_z - 0.5) > 0.485)
    return (np.array([122.0, 128.0, 132.0], np.float32) + 10.0 * tone[..., None]) * np.where(joint, 0.8, 1.0)[..., None]


def _facade(distance: _Plane, up: _Plane, colour: _Plane, rng: np.random.Generator) -> _Plane:
    course, along = np.floor(up / 0.55), distance / 1.6
    brick = np.floor(along + 0.5 * (course % 2))
    tone = _tone(brick, course, rng)
    mortar = (np.abs(up / 0.55 - course - 0.5) > 0.44) | (np.abs(along + 0.5 * (course % 2) - brick - 0.5) > 0.46)
    out = (colour + 12.0 * tone[..., None]) * np.where(mortar, 1.12, 1.0)[..., None]
    bay = np.abs(distance / 17.0 - np.floor(distance / 17.0) - 0.5)
    frame = (bay < 0.30) & (up > 4.6) & (up < 15.4)
    glass = (bay < 0.265) & (up > 5.2) & (up < 14.8)
    out = np.where(frame[..., None], np.array([96.0, 98.0, 98.0], np.float32), out)
    pane = np.array([120.0, 104.0, 88.0], np.float32) * (0.55 + 0.05 * up[..., None])
    return np.where(glass[..., None], pane, out).astype(np.float32)


def _tone(i: _Plane, j: _Plane, rng: np.random.Generator) -> _Plane:
    """A value in [-1, 1] for each cell (i, j) of a grid, looked up in a random table."""
    table = rng.uniform(-1, 1, (64, 64)).astype(np.float32)
    return np.asarray(table[i.astype(np.int64) % 64, j.astype(np.int64) % 64], np.float32)


def _mottle(view: Viewpoint, rng: np.random.Generator) -> _Plane:
    """Stains and unevenness: smooth noise of three sizes, float32 [height_px, width], about in [-1, 1]."""
    out = np.zeros((view.height_px, view.width), np.float32)
    for cells, weight in ((6, 0.5), (24, 0.3), (96, 0.2)):
        coarse = rng.uniform(-1, 1, (cells * 9 // 16 + 1, cells)).astype(np.float32)
        out += weight * cv2.resize(coarse, (view.width, view.height_px), interpolation=cv2.INTER_CUBIC)
    return out
