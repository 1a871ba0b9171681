"""A person cut out of a photograph: head and shoulders from the picture, a plain coat below them.

The silhouette comes from GrabCut (Rother, Kolmogorov, Blake 2004) started from where a head and shoulders must be,
given the face's box; its edge is feathered, so that a detector meets a person and not a pasted rectangle. Lengths are
in widths of the face's box.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Bgr = NDArray[np.uint8]
Alpha = NDArray[np.float32]
Xyxy = tuple[float, float, float, float]

_HALF_WIDTH = 1.9
"""From the middle of the face to the edge of the cut-out, face widths."""
_ABOVE = 0.95
"""From the top of the face's box to the top of the cut-out: hair, or a cap."""
_HEM = 4.25
"""From the chin to the cut-out's lower end; the coat's hem is a little above."""
_PHOTO = 2.9
"""How far below the top of the face's box the photograph is used at most."""
_CUT_FACE_PX = 40
"""Face width at which GrabCut works: finer is slower and follows the background's texture."""
HIP_BELOW_FACE = 4.0
"""From the middle of the face's box to where the legs begin, face widths."""


@dataclass(frozen=True, slots=True)
class Level:
    """One size of a cut-out: premultiplied BGR and alpha, uint8 [h, w, 4]; the face is `face_px` wide."""

    bgra: NDArray[np.uint8]
    face_px: float
    face_xy: tuple[float, float]
    """The middle of the face's box in this picture, pixels."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A cut-out in halving sizes, largest first, and what is needed to draw the rest of the person."""

    levels: tuple[Level, ...]
    aspect: float
    """Height of the face's box divided by its width."""
    coat_bgr: tuple[float, float, float]
    trousers_bgr: tuple[float, float, float]

    def level(self, face_px: float) -> Level:
        """The smallest size that need not be enlarged to show a face `face_px` wide, else the largest."""
        fitting = [level for level in self.levels if level.face_px >= face_px * 0.999]
        return fitting[-1] if fitting else self.levels[0]


def cut_out(bgr: Bgr, face_xyxy: Xyxy, rng: np.random.Generator, *, largest_face_px: float = 160.0) -> Figure:
    """Cuts the person whose face is in `face_xyxy` (pixels) out of `bgr` (uint8 [H, W, 3]).

    The largest size made is that of the photograph, with a face of at most `largest_face_px`. Raises ValueError where
    the box is too small or lies outside of the picture.
    """
    x1, y1, x2, y2 = face_xyxy
    height, width = bgr.shape[:2]
    if not (x2 - x1 >= 8 and y2 - y1 >= 8 and x1 < width and y1 < height and x2 > 0 and y2 > 0):
        raise ValueError(f"a face's box of at least 8x8 px inside the {width}x{height} px picture was expected")
    face_w = x2 - x1
    unit = min(face_w, largest_face_px)
    aspect = (y2 - y1) / face_w
    photo, known = _window(bgr, face_xyxy, unit)
    photo_alpha = _silhouette(photo, known, unit, aspect, rng) * _fade_down(known, unit)[:, None]
    coat = _coat_colour(photo, photo_alpha, unit, aspect) or _some_colour(rng)
    canvas, alpha = _coat(photo.shape[1], unit, aspect, coat, rng)
    inside = slice(0, photo.shape[0])
    mix = photo_alpha[..., None]
    premultiplied = canvas * alpha[..., None]
    premultiplied[inside] = photo * mix + premultiplied[inside] * (1 - mix)
    alpha[inside] = photo_alpha + alpha[inside] * (1 - photo_alpha)
    bgra = np.dstack([premultiplied, alpha * 255.0])
    first = Level(
        np.clip(bgra + 0.5, 0, 255).astype(np.uint8), unit, (_HALF_WIDTH * unit, (_ABOVE + aspect / 2) * unit)
    )
    dark = float(rng.uniform(0.35, 0.7))
    return Figure(_pyramid(first), aspect, coat, (coat[0] * dark, coat[1] * dark, coat[2] * dark))


def _window(bgr: Bgr, face_xyxy: Xyxy, unit: float) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The photograph around the face with the face `unit` wide, float32, and which pixels lie inside of it."""
    x1, y1, x2, _ = face_xyxy
    scale = unit / (x2 - x1)
    w, h = round(2 * _HALF_WIDTH * unit), round((_ABOVE + _PHOTO) * unit)
    # The area average first, then the exact position: a warp alone would alias.
    small = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else bgr
    left, top = (x1 + x2) / 2 * scale - _HALF_WIDTH * unit, y1 * scale - _ABOVE * unit
    moved = np.array([[1, 0, -left], [0, 1, -top]], np.float64)
    photo = cv2.warpAffine(small, moved, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    rows, columns = np.mgrid[0:h, 0:w]
    known = (
        (rows + top >= 0)
        & (columns + left >= 0)
        & (rows + top <= small.shape[0] - 1)
        & (columns + left <= small.shape[1] - 1)
    )
    return photo.astype(np.float32), known


def _silhouette(
    photo: NDArray[np.float32], known: NDArray[np.bool_], unit: float, aspect: float, rng: np.random.Generator
) -> Alpha:
    """How much each pixel belongs to the person, float32 in [0, 1]."""
    h, w = photo.shape[:2]
    shrink = min(_CUT_FACE_PX / unit, 1.0)
    size = (max(round(w * shrink), 1), max(round(h * shrink), 1))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    seen = cv2.resize(known.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    mask = _prior(size, unit * shrink, aspect)
    mask[~seen & (mask != cv2.GC_FGD)] = cv2.GC_BGD
    allowed = mask != cv2.GC_BGD
    cv2.setRNGSeed(int(rng.integers(2**31)))  # GrabCut's mixtures start from a k-means with OpenCV's own generator
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small.astype(np.uint8), mask, None, *models, 4, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    person = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)) & allowed
    count, labels = cv2.connectedComponents(person.astype(np.uint8))
    middle = labels[round((_ABOVE + aspect / 2) * unit * shrink), size[0] // 2]
    kept = (labels == middle).astype(np.uint8) if count > 1 and middle else person.astype(np.uint8)
    kept = cv2.morphologyEx(kept, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    kept = cv2.morphologyEx(kept, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    soft = cv2.GaussianBlur(kept.astype(np.float32), (0, 0), 1.3)
    full = cv2.resize(soft, (w, h), interpolation=cv2.INTER_CUBIC)
    # A little inside of the edge, so that no rim of the old background is left.
    return np.asarray(np.clip((full - 0.42) / 0.4, 0, 1), np.float32)


def _prior(size: tuple[int, int], unit: float, aspect: float) -> NDArray[np.uint8]:
    """Where a head and shoulders must, may and cannot be: GrabCut's four labels, uint8 [h, w]."""
    mask = np.full((size[1], size[0]), cv2.GC_BGD, np.uint8)
    x, top, chin = size[0] / 2, _ABOVE * unit, (_ABOVE + aspect) * unit
    bottom = float(size[1])

    def ellipse(label: int, middle_y: float, half: tuple[float, float], arc: tuple[int, int] = (0, 360)) -> None:
        axes = (round(half[0] * unit), round(half[1] * unit))
        cv2.ellipse(mask, (round(x), round(middle_y)), axes, 0, *arc, label, -1)

    def shoulders(label: int, neck: float, half: float, from_y: float, full_y: float) -> None:
        right = [(x + neck * unit, from_y), (x + half * unit, full_y), (x + half * unit, bottom)]
        polygon = [*right, *[(2 * x - px, py) for px, py in reversed(right)]]
        cv2.fillPoly(mask, [np.array(polygon, np.float64).round().astype(np.int32)], label)

    ellipse(cv2.GC_PR_BGD, top + 0.35 * aspect * unit, (0.90, 0.92 * aspect), (180, 360))
    ellipse(cv2.GC_PR_BGD, top + 0.35 * aspect * unit, (0.90, 0.76 * aspect), (0, 180))
    shoulders(cv2.GC_PR_BGD, 0.45, 1.5, chin + 0.05 * unit, chin + 0.9 * unit)
    ellipse(cv2.GC_PR_FGD, top + 0.42 * aspect * unit, (0.68, 0.75 * aspect))
    shoulders(cv2.GC_PR_FGD, 0.4, 1.35, chin + 0.1 * unit, chin + 0.95 * unit)
    ellipse(cv2.GC_FGD, top + 0.44 * aspect * unit, (0.46, 0.52 * aspect))
    shoulders(cv2.GC_FGD, 0.28, 0.9, chin + 0.15 * unit, chin + 0.95 * unit)
    return mask


def _fade_down(known: NDArray[np.bool_], unit: float) -> Alpha:
    """The photograph gives way to the coat over its last part: float32 [h], 1 above and 0 from its end."""
    rows = np.flatnonzero(known[:, known.shape[1] // 2])
    end = float(rows[-1] if rows.size else 0)
    return np.asarray(np.clip((end - np.arange(known.shape[0])) / (0.55 * unit), 0, 1), np.float32)


def _coat_colour(
    photo: NDArray[np.float32], alpha: Alpha, unit: float, aspect: float
) -> tuple[float, float, float] | None:
    """The median colour below the collar, where clothes are; None where the photograph ends above."""
    rows = slice(round((_ABOVE + aspect + 0.8) * unit), None)
    worn = photo[rows][alpha[rows] > 0.2]
    if len(worn) < 20:
        return None
    b, g, r = (float(channel) for channel in np.median(worn, axis=0))
    return b, g, r


def _some_colour(rng: np.random.Generator) -> tuple[float, float, float]:
    hue, light = float(rng.uniform(0, 180)), float(rng.uniform(40, 130))
    b, g, r = cv2.cvtColor(np.array([[[hue, rng.uniform(20, 110), light]]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0]
    return float(b), float(g), float(r)


def _coat(
    width: int, unit: float, aspect: float, colour: tuple[float, float, float], rng: np.random.Generator
) -> tuple[NDArray[np.float32], Alpha]:
    """A torso with sleeves in one colour, with folds and a rounded shade: float32 BGR and alpha."""
    height, x, chin = round((_ABOVE + aspect + _HEM) * unit), width / 2, (_ABOVE + aspect) * unit
    half = [(0.36, 0.0), (0.5, 0.3), (1.1, 0.6), (1.32, 0.9), (1.46, 2.2), (1.48, 3.2), (1.4, 3.9), (1.05, 4.0)]
    right = [(x + dx * unit, chin + dy * unit) for dx, dy in half]
    polygon = np.array([*right, *[(2 * x - px, py) for px, py in reversed(right)]])
    alpha = np.zeros((height, width), np.float32)
    cv2.fillPoly(alpha, [np.round(polygon * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
    alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), max(unit * 0.03, 0.6)), np.float32)
    columns = (np.arange(width, dtype=np.float32) - x) / unit
    shade = 1.0 - 0.28 * np.square(columns / 1.45) - 0.14 * np.exp(-np.square((np.abs(columns) - 0.95) / 0.05))
    folds = cv2.resize(rng.uniform(-1, 1, (7, 12)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    lit = shade[None, :] * (1.0 + 0.12 * folds)
    opening = np.abs(columns)[None, :] < 0.02
    lit = np.where(opening, lit * 0.8, lit)
    return np.clip(np.array(colour, np.float32) * lit[..., None], 0, 255).astype(np.float32), alpha


def _pyramid(first: Level) -> tuple[Level, ...]:
    levels = [first]
    while levels[-1].face_px > 24:
        last = levels[-1]
        h, w = last.bgra.shape[:2]
        half = cv2.resize(last.bgra, (max(w // 2, 1), max(h // 2, 1)), interpolation=cv2.INTER_AREA)
        fx, fy = half.shape[1] / w, half.shape[0] / h
        levels.append(
            Level(np.asarray(half, np.uint8), last.face_px * fx, (last.face_xy[0] * fx, last.face_xy[1] * fy))
        )
    return tuple(levels)
