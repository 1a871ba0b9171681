"""Enrolment: one reference image with exactly one face becomes one watchlist entry, or a reason why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from overt.governance.listing import ListedImage
from overt.identity import entry_id
from overt.messages import Kind, Vector, WatchlistEntry
from overt.picture import BadPicture, Bgr, Picture, decode

_LONGEST_SIDE_PX = 1280
"""Larger images are reduced first: a face that is enrolled from one is still far above what a model takes."""
_THUMBNAIL_PX = 160
_LARGEST_FILE = 50_000_000


@dataclass(frozen=True, slots=True)
class FoundFaces:
    """Faces in a reference image: boxes float32 [N, 4] (left, top, right, bottom), landmarks float32 [N, 5, 2]."""

    xyxy: NDArray[np.float32]
    landmarks: NDArray[np.float32] = field(repr=False)  # it must never reach a log


@dataclass(frozen=True, slots=True)
class Extractor:
    """From pixels to a template, with the deployment's models."""

    find: Callable[[Bgr], FoundFaces]
    chip: Callable[[Bgr, NDArray[np.float32]], Bgr | None]
    """The aligned chip for landmarks [5, 2]; None where they are no face."""
    embed: Callable[[Bgr], Vector]
    """Chips uint8 [N, S, S, 3] to unit vectors float32 [N, D]."""
    space_id: str
    min_eye_distance_px: float = 24.0
    """Fewer pixels between the eyes than this make a template that finds nobody."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What every entry of a category carries."""

    deployment_id: str
    kind: Kind
    basis: str
    valid_from_us: int
    valid_until_us: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A reference image that was not enrolled, and what is wrong with it, for the watchlist's maker."""

    image: ListedImage
    why: str


def enrol(image: ListedImage, terms: Terms, extractor: Extractor, now_us: int) -> WatchlistEntry | Refused:
    """Makes the entry of one reference image. Its id comes from deployment, subject and file name."""
    if not _is_text(image.subject_id + image.path.name):
        return Refused(image, "its name or its subject's is not UTF-8 text: rename it")
    try:
        if image.path.stat().st_size > _LARGEST_FILE:
            return Refused(image, f"the file is larger than {_LARGEST_FILE // 1_000_000} MB")
        bgr = _reduced(decode(image.path.read_bytes()))
    except BadPicture as error:
        return Refused(image, str(error))
    except OSError as error:
        return Refused(image, f"the file cannot be read: {error.strerror}")
    faces = extractor.find(bgr)
    if len(faces.xyxy) != 1:
        many = f"{len(faces.xyxy)} faces" if len(faces.xyxy) else "no face"
        return Refused(image, f"{many} found; exactly one is wanted: cut the image to the subject's face")
    landmarks = faces.landmarks[0]
    between_eyes = float(np.linalg.norm(landmarks[1] - landmarks[0]))
    if between_eyes < extractor.min_eye_distance_px:
        wanted = extractor.min_eye_distance_px
        return Refused(image, f"{between_eyes:.0f} px between the eyes, {wanted:.0f} wanted: use a larger image")
    chip = extractor.chip(bgr, landmarks)
    if chip is None:
        return Refused(image, "the face's landmarks cannot be aligned: use a frontal image")
    vector = extractor.embed(chip[None])[0]
    if not np.isfinite(vector).all():
        return Refused(image, "the model gives no finite vector for it")
    return WatchlistEntry(
        entry_id=entry_id(terms.deployment_id, image.subject_id, image.path.name),
        deployment_id=terms.deployment_id,
        subject_id=image.subject_id,
        category=image.category_id,
        kind=terms.kind,
        basis=terms.basis,
        valid_from_us=terms.valid_from_us,
        valid_until_us=terms.valid_until_us,
        space_id=extractor.space_id,
        enrolled_at_us=now_us,
        vector=vector,
        reference_image=Picture(bgr=_thumbnail(bgr, faces.xyxy[0])),
    )


def _is_text(name: str) -> bool:
    """Whether a name can travel in a record; a file system may hold other bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _reduced(bgr: Bgr) -> Bgr:
    factor = _LONGEST_SIDE_PX / max(bgr.shape[:2])
    if factor >= 1:
        return bgr
    return np.asarray(cv2.resize(bgr, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)


def _thumbnail(bgr: Bgr, xyxy: NDArray[np.float32]) -> Bgr:
    """The face with 0.3 of its longer side around it, at most `_THUMBNAIL_PX` a side."""
    height, width = bgr.shape[:2]
    x1, y1, x2, y2 = (float(v) for v in xyxy)
    around = 0.3 * max(x2 - x1, y2 - y1)
    left, top = max(0, int(x1 - around)), max(0, int(y1 - around))
    right, bottom = min(width, int(x2 + around)), min(height, int(y2 + around))
    cut = bgr[top:bottom, left:right]
    factor = _THUMBNAIL_PX / max(cut.shape[:2])
    if factor >= 1:
        return cut.copy()
    return np.asarray(cv2.resize(cut, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
