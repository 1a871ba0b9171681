"""From labelled images to templates, as enrolment makes them; each image costs its models once, and then the cache.

Which face of an image is the person's: with a box, the face that overlaps it most (by at least 0.3 of their union);
else by `FaceRule`. An image that gives no template has a reason, and stays in every denominator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from overt.detector.detections import Detections
from overt.evaluation.cache import Cache, Row
from overt.evaluation.datasets import Box, Sample
from overt.evaluation.recipe import Extractor, FaceRule
from overt.messages import Vector
from overt.picture import BadPicture, Bgr, decode

_LONGEST_SIDE_PX = 1280  # as enrolment reduces larger images
_LEAST_OVERLAP = 0.3
_CHECKED = 3
"""Cached templates that are made again, each time that the cache is opened: other code may make others."""
_SAME = 0.999


class Failure(StrEnum):
    """Why an image gives no template: a failure to acquire (ISO/IEC 2382-37)."""

    UNREADABLE = "the file cannot be read as an image"
    NO_FACE = "no face found"
    SEVERAL_FACES = "several faces found, one is wanted"
    NOT_IN_BOX = "no face found in the box"
    TOO_SMALL = "the face is too small"
    NOT_ALIGNABLE = "the landmarks cannot be aligned"
    NOT_FINITE = "the model gives no finite vector"


@dataclass(frozen=True, slots=True)
class Template:
    """What an image gives: a unit vector float32 [D], or the reason why it gives none."""

    image_sha256: str
    vector: Vector | None = field(repr=False)  # biometric: it must never reach a log
    failure: Failure | None
    eyes_px: float
    """Between the eyes, in pixels of the image after reduction; 0 without a face."""


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes templates with models that are opened when the first one is wanted, which may be never."""

    extractor: Callable[[], Extractor]
    face: FaceRule
    min_face_px: float

    def make(self, image_sha256: str, data: bytes, box: Box | None) -> Template:
        """The template of an encoded image. Raises nothing for whatever bytes."""
        try:
            bgr, factor = _reduced(decode(data))
        except BadPicture:
            return Template(image_sha256, None, Failure.UNREADABLE, 0.0)
        extractor = self.extractor()
        faces = extractor.find(bgr)
        chosen = _chosen(faces, bgr, self.face, None if box is None else np.asarray(box, np.float64) * factor)
        if isinstance(chosen, Failure):
            return Template(image_sha256, None, chosen, 0.0)
        left, top, right, bottom = (float(v) for v in faces.xyxy[chosen])
        landmarks = faces.landmarks[chosen]
        eyes_px = float(np.linalg.norm(landmarks[1] - landmarks[0]))
        if min(right - left, bottom - top) < self.min_face_px:
            return Template(image_sha256, None, Failure.TOO_SMALL, eyes_px)
        chip = extractor.chip(bgr, landmarks)
        if chip is None:
            return Template(image_sha256, None, Failure.NOT_ALIGNABLE, eyes_px)
        vector = extractor.embed(chip[None])[0]
        if not np.isfinite(vector).all():
            return Template(image_sha256, None, Failure.NOT_FINITE, eyes_px)
        return Template(image_sha256, np.asarray(vector, np.float32), None, eyes_px)


def templates(
    samples: Sequence[Sample], maker: Maker, cache: Cache | None, progress: Callable[[int, int], None]
) -> list[Template]:
    """The template of each sample, in order. What was made before an interruption is in the cache.

    `progress` is told how many images are done, of how many. Raises overt.evaluation.cache.CacheError.
    """
    if cache is not None and _stale(samples, maker, cache):
        cache.clear()
    made: list[Template] = []
    for done, template in enumerate(_each(samples, maker, cache), start=1):
        made.append(template)
        progress(done, len(samples))
    if cache is not None:
        cache.commit()
    return made


def _each(samples: Sequence[Sample], maker: Maker, cache: Cache | None) -> Iterator[Template]:
    for sample in samples:
        data = _read(sample)
        if data is None:
            yield Template("", None, Failure.UNREADABLE, 0.0)
            continue
        sha256 = hashlib.sha256(data).hexdigest()
        row = cache.get(_key(sha256, sample.box)) if cache is not None else None
        template = _from_row(sha256, row) if row is not None else None
        if template is None:
            template = maker.make(sha256, data, sample.box)
            if cache is not None:
                failure = template.failure.name if template.failure else None
                cache.put(_key(sha256, sample.box), Row(failure, template.eyes_px, template.vector))
        yield template


def _stale(samples: Sequence[Sample], maker: Maker, cache: Cache) -> bool:
    """Whether the code of today makes other templates than those in the cache, of the first images that are in it."""
    checked = 0
    for sample in samples[: 10 * _CHECKED]:
        data = _read(sample)
        if data is None:
            continue
        sha256 = hashlib.sha256(data).hexdigest()
        row = cache.get(_key(sha256, sample.box))
        kept = _from_row(sha256, row) if row is not None else None
        if kept is None:
            continue
        fresh = maker.make(sha256, data, sample.box)
        if fresh.failure is not kept.failure:
            return True
        if fresh.vector is not None and kept.vector is not None and float(fresh.vector @ kept.vector) < _SAME:
            return True
        checked += 1
        if checked == _CHECKED:
            break
    return False


def _read(sample: Sample) -> bytes | None:
    try:
        return sample.path.read_bytes()
    except OSError:
        return None


def _key(sha256: str, box: Box | None) -> str:
    return sha256 if box is None else f"{sha256} {' '.join(f'{v:g}' for v in box)}"


def _from_row(sha256: str, row: Row) -> Template | None:
    """None for a row that this version does not understand: it is made again."""
    if row.failure is None:
        return Template(sha256, row.vector, None, row.eyes_px)
    return Template(sha256, None, Failure[row.failure], row.eyes_px) if row.failure in Failure.__members__ else None


def _chosen(faces: Detections, bgr: Bgr, rule: FaceRule, box: NDArray[np.float64] | None) -> int | Failure:
    """The number of the person's face among those found."""
    found = faces.xyxy.astype(np.float64)
    if box is not None:
        overlaps = _overlaps(box, found)
        return int(np.argmax(overlaps)) if overlaps.size and overlaps.max() >= _LEAST_OVERLAP else Failure.NOT_IN_BOX
    if not len(found):
        return Failure.NO_FACE
    if rule == "only":
        return 0 if len(found) == 1 else Failure.SEVERAL_FACES
    centre = np.array([bgr.shape[1], bgr.shape[0]]) / 2
    return int(np.argmin(np.linalg.norm((found[:, :2] + found[:, 2:]) / 2 - centre, axis=1)))


def _overlaps(box: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of one box [4] with many [N, 4]."""
    sides = np.minimum(box[2:], found[:, 2:]) - np.maximum(box[:2], found[:, :2])
    shared = np.clip(sides, 0, None).prod(1)
    whole = (box[2:] - box[:2]).prod() + (found[:, 2:] - found[:, :2]).prod(1) - shared
    return np.asarray(shared / np.maximum(whole, 1e-9), np.float64)


def _reduced(bgr: Bgr) -> tuple[Bgr, float]:
    factor = _LONGEST_SIDE_PX / max(bgr.shape[:2])
    if factor >= 1:
        return bgr, 1.0
    return np.asarray(cv2.resize(bgr, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8), factor
