"""A scene as a stream of frames with their truth.

Everything follows from the arguments and the seed, frame for frame. Frames are made one at a time and never kept, so a
scene may last for hours; a walker's cut-out is made when a pass begins, and few are remembered.
"""

from __future__ import annotations

import math
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from overt.demo.draw import Brush, Stamp, draw
from overt.demo.figure import Figure, cut_out
from overt.demo.rephotograph import rephotograph
from overt.demo.street import Viewpoint, street
from overt.demo.walk import Photo, Pose, Walker, Xyxy, pose

Bgr = NDArray[np.uint8]
Locate = Callable[[Bgr], Xyxy]
"""Finds the one face of a photograph: uint8 [H, W, 3] BGR in, its box in pixels out."""

VERSION = 1
"""Goes up with every change that makes other pixels from the same arguments."""

_HORIZON = 0.20
"""Height of the horizon, a share of the picture from its top."""
_HEAD_NEAR = 0.37
"""How far below the horizon the largest face of the scene is, a share of the picture's height."""
_FEET = 10.4
"""From the middle of the face to the floor, face widths: 1.65 m where a face is 16 cm wide."""
_REMEMBERED = 16


@dataclass(frozen=True, slots=True)
class Camera:
    """The picture's size (width, height), its rate, and what the lens, the sensor and the light do to it."""

    size: tuple[int, int] = (1280, 720)
    fps: float = 15.0
    noise: float = 3.0
    """Standard deviation of the sensor's noise, levels of 255."""
    blur_px: float = 0.6
    """Blur of the lens on the walkers: standard deviation, pixels."""
    shutter: float = 0.35
    """Exposure as a share of the time between two frames: how far moving people smear."""
    light: float = 0.12
    """How much the light on a walker rises and falls along the way, a share."""


DEFAULT_CAMERA = Camera()


@dataclass(frozen=True, slots=True)
class Seen:
    """A walker's face in one frame: its box, cut at the picture's edge, and the share of it that can be seen."""

    walker: int
    xyxy: Xyxy
    clear: float


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame, uint8 [H, W, 3] BGR, and the faces in it, the farthest first."""

    bgr: Bgr
    faces: tuple[Seen, ...]


def frame_count(walkers: Sequence[Walker], fps: float, seconds: float | None = None) -> int:
    """How many frames a scene has: `seconds` long, or until half a second after the last walker has left."""
    end_s = max((walker.end_s for walker in walkers), default=0.0) + 0.5 if seconds is None else seconds
    return math.ceil(end_s * fps - 1e-9)


def frames(
    walkers: Sequence[Walker],
    *,
    seed: int,
    camera: Camera = DEFAULT_CAMERA,
    seconds: float | None = None,
    locate: Locate | None = None,
) -> Iterator[Bgr]:
    """The pictures of `shots` alone: uint8 [H, W, 3] BGR, each a new array."""
    for shot in shots(walkers, seed=seed, camera=camera, seconds=seconds, locate=locate):
        yield shot.bgr


def shots(
    walkers: Sequence[Walker],
    *,
    seed: int,
    camera: Camera = DEFAULT_CAMERA,
    seconds: float | None = None,
    locate: Locate | None = None,
) -> Iterator[Shot]:
    """The scene frame by frame. Frame n is taken n / fps seconds after the scene's begin.

    `locate` finds the face in photographs that come without a box. Raises ValueError where a photograph cannot be read,
    or has no box and `locate` is not given; what `locate` raises is passed on.
    """
    rng = np.random.default_rng([VERSION, seed])
    nearest = max((walker.walk.near_px for walker in walkers), default=115.0)
    width, height = camera.size
    drop = _HEAD_NEAR * height / nearest
    empty = street(Viewpoint(width, height, width / 2, _HORIZON * height, drop + _FEET), rng)
    grain = _grain(camera, rng)
    figures = _Figures(seed, nearest * 1.15, locate)
    for number in range(frame_count(walkers, camera.fps, seconds)):
        present: list[tuple[Pose, int]] = []
        for index, walker in enumerate(walkers):
            now = pose(walker, number / camera.fps, size=camera.size, horizon=_HORIZON, drop=drop)
            if now is not None:
                present.append((now, index))
        present.sort(key=lambda standing: (standing[0].face_px, standing[1]))
        bgr = empty.copy()
        faces: list[Seen] = []
        for now, index in present:
            before = pose(walkers[index], (number - 1) / camera.fps, size=camera.size, horizon=_HORIZON, drop=drop)
            figure = figures.of(walkers[index].photo)
            stamp = draw(bgr, figure, now, _brush(now, before, camera, drop, index))
            faces = [_behind(face, stamp) for face in faces]
            faces.extend(_seen(index, now, figure.aspect, camera.size))
        yield Shot(_exposed(bgr, grain, number, seed), tuple(faces))


class _Figures:
    """The cut-outs of the walkers who are present, and of some who were: made once for each photograph."""

    def __init__(self, seed: int, largest_face_px: float, locate: Locate | None) -> None:
        self._seed, self._largest_face_px, self._locate = seed, largest_face_px, locate
        self._made: OrderedDict[Photo, Figure] = OrderedDict()

    def of(self, photo: Photo) -> Figure:
        if photo not in self._made:
            self._made[photo] = self._make(photo)
            if len(self._made) > _REMEMBERED:
                self._made.popitem(last=False)
        self._made.move_to_end(photo)
        return self._made[photo]

    def _make(self, photo: Photo) -> Figure:
        read = cv2.imread(str(photo.path), cv2.IMREAD_COLOR)
        if read is None:
            raise ValueError(f"{photo.path}: a photograph that OpenCV can read was expected")
        bgr = np.asarray(read, np.uint8)
        if photo.face_xyxy is None and self._locate is None:
            raise ValueError(f"{photo.path}: give the face's box, or `locate` to find it")
        face_xyxy = photo.face_xyxy or (self._locate(bgr) if self._locate else (0.0, 0.0, 0.0, 0.0))
        # By the file's name and not by the pass, so that a person looks the same whenever they come.
        rng = np.random.default_rng([self._seed, zlib.crc32(photo.path.name.encode())])
        if photo.rephotographed:
            bgr, face_xyxy = rephotograph(bgr, face_xyxy, rng)
        return cut_out(bgr, face_xyxy, rng, largest_face_px=self._largest_face_px)


def _brush(now: Pose, before: Pose | None, camera: Camera, drop: float, index: int) -> Brush:
    moved = (now.x - before.x, now.y - before.y) if before else (0.0, 0.0)
    way = math.log(now.face_px) * 5.0 + index * 2.4
    return Brush(
        smear_xy=(moved[0] * camera.shutter, moved[1] * camera.shutter),
        blur_px=camera.blur_px,
        gain=1.0 + camera.light * math.sin(way),
        floor_y=_HORIZON * camera.size[1] + (drop + _FEET) * now.face_px,
    )


def _seen(index: int, now: Pose, aspect: float, size: tuple[int, int]) -> list[Seen]:
    half_w, half_h = now.face_px * now.turn / 2, now.face_px * aspect / 2
    x1, x2 = max(now.x - half_w, 0.0), min(now.x + half_w, float(size[0]))
    y1, y2 = max(now.y - half_h, 0.0), min(now.y + half_h, float(size[1]))
    if x2 - x1 < 1 or y2 - y1 < 1:
        return []
    inside = (x2 - x1) * (y2 - y1) / (4 * half_w * half_h)
    return [Seen(index, (x1, y1, x2, y2), inside * now.presence)]


def _behind(face: Seen, stamp: Stamp) -> Seen:
    hidden = stamp.hidden(face.xyxy)
    return Seen(face.walker, face.xyxy, face.clear * (1.0 - hidden)) if hidden else face


def _grain(camera: Camera, rng: np.random.Generator) -> NDArray[np.int16]:
    width, height = camera.size
    noise = rng.standard_normal((height + 64, width + 64, 3), dtype=np.float32)
    return np.round(noise * np.float32(camera.noise)).astype(np.int16)


def _exposed(bgr: Bgr, grain: NDArray[np.int16], number: int, seed: int) -> Bgr:
    """The frame with the slow breathing of automatic exposure and its own piece of the sensor's noise."""
    y, x = (int(v) for v in np.random.default_rng([seed, number]).integers(0, 64, 2))
    height, width = bgr.shape[:2]
    lit = cv2.convertScaleAbs(bgr, alpha=1.0 + 0.03 * math.sin(number * 0.11))
    return np.asarray(cv2.add(lit, grain[y : y + height, x : x + width], dtype=cv2.CV_8U), np.uint8)
