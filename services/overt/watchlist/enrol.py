"""Enrolment: one reference image with exactly one face becomes one watchlist entry, or a reason why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from overt.governance.files import Unreadable
from overt.governance.listing import ListedImage
from overt.identity import entry_id
from overt.messages import Box, Kind, Vector, WatchlistEntry
from overt.picture import BadPicture, Bgr, Picture, encode
from overt.watchlist.pixels import part_with, pixels_of, reduced
from overt.watchlist.portrait import WANTED_EYES_PX, eye_distance_px, judge
from overt.watchlist.results import Refusal

_THUMBNAIL_PX = 160


@dataclass(frozen=True, slots=True)
class FoundFaces:
    """Faces in a reference image: boxes float32 [N, 4] (left, top, right, bottom), landmarks float32 [N, 5, 2], scores
    float32 [N], 0 to 1."""

    xyxy: NDArray[np.float32]
    landmarks: NDArray[np.float32] = field(repr=False)  # it must never reach a log
    scores: NDArray[np.float32]


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
    """On what ground an entry is on the list, and for how long."""

    deployment_id: str
    kind: Kind
    basis: str
    valid_from_us: int
    valid_until_us: int


@dataclass(frozen=True, slots=True)
class Template:
    """What the models make of an image, and what they say of it."""

    vector: Vector = field(repr=False)  # it must never reach a log
    """float32 [D], L2 norm 1."""
    thumbnail: bytes = field(repr=False)
    """JPEG of the face: of a hundred thousand entries, pixels would fill the memory."""
    eye_distance_px: float
    quality: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why an image gives no template."""

    why: str


Templates = Callable[[bytes, Box | None], Template | Unusable]
"""From an image's bytes, and a box where one is given, to its template."""


def enrol(image: ListedImage, terms: Terms, templates: Templates, space_id: str, now_us: int) -> Enrolled | Refusal:
    """Makes the entry of one reference image. Its id comes from deployment, subject and file name."""
    try:
        (image.subject_id + image.path.name).encode()
    except UnicodeEncodeError:  # a file system may hold other bytes
        return Refusal(image.place, "", "its name or its subject's is not UTF-8 text: rename it")
    said = image.particulars
    try:
        template = templates(image.data(), said.box)
    except Unreadable as error:
        template = Unusable(str(error))
    if isinstance(template, Unusable):
        return Refusal(image.place, image.subject_id, template.why)
    entry = WatchlistEntry(
        entry_id=entry_id(terms.deployment_id, image.subject_id, image.path.name),
        deployment_id=terms.deployment_id,
        subject_id=image.subject_id,
        category=image.category_id,
        kind=terms.kind,
        basis=terms.basis,
        valid_from_us=terms.valid_from_us,
        valid_until_us=terms.valid_until_us,
        space_id=space_id,
        enrolled_at_us=now_us,
        vector=template.vector,
        reference_image=Picture(encoded=template.thumbnail),
        image_source=said.image_source,
        image_date=said.image_date.isoformat() if said.image_date else None,
        reviewer=said.reviewer,
        under_18=bool(said.under_18),
        decision_id=said.decision_id,
        notes=said.notes,
    )
    return Enrolled(entry, template)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """An entry, with what its image was like."""

    entry: WatchlistEntry
    template: Template


def template_of(data: bytes, box: Box | None, extractor: Extractor) -> Template | Unusable:
    """Finds the one face of an image (in the box, where one is given), judges it, and makes its template."""
    try:
        bgr = pixels_of(data)
        if box is not None:
            bgr, box = part_with(bgr, box)
    except BadPicture as error:
        return Unusable(str(error))
    face = _look(bgr, box, extractor)
    if isinstance(face, Unusable):
        return face
    if face.eyes_px < WANTED_EYES_PX and face.scale < 1:
        face = _closer(bgr, face, extractor)
    if face.eyes_px < extractor.min_eye_distance_px:
        wanted = extractor.min_eye_distance_px
        return Unusable(f"{face.eyes_px:.0f} px between the eyes, {wanted:.0f} wanted: use a larger image")
    chip = extractor.chip(face.bgr, face.landmarks)
    if chip is None:
        return Unusable("the face's landmarks cannot be aligned: use a frontal image")
    verdict = judge(chip, face.landmarks, face.score)
    if verdict.refusals:
        return Unusable(f"{', '.join(verdict.refusals)}: use another image")
    vector = extractor.embed(chip[None])[0]
    if not np.isfinite(vector).all():
        return Unusable("the model gives no finite vector for it")
    thumbnail = encode(_thumbnail(face.bgr, face.xyxy), "jpeg")
    return Template(vector, thumbnail, face.eyes_px, verdict.quality, verdict.warnings)


@dataclass(frozen=True, slots=True)
class _Face:
    bgr: Bgr = field(repr=False)
    """The image that it was found in."""
    scale: float
    """By what that image's sides had been multiplied."""
    xyxy: NDArray[np.float32]
    landmarks: NDArray[np.float32] = field(repr=False)
    score: float

    @property
    def eyes_px(self) -> float:
        return eye_distance_px(self.landmarks)


def _look(bgr: Bgr, box: Box | None, extractor: Extractor) -> _Face | Unusable:
    """The one face of the image, or of the box in it."""
    seen, scale = reduced(bgr)
    found = extractor.find(seen)
    mine = list(range(len(found.xyxy)))
    if box is not None:
        centres = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2 / scale
        mine = [i for i in mine if box.x1 <= centres[i, 0] <= box.x2 and box.y1 <= centres[i, 1] <= box.y2]
    if len(mine) != 1:
        many = f"{len(mine)} faces" if mine else "no face"
        if box is not None:
            return Unusable(f"{many} found in the box; exactly one is wanted: give the box of the subject's face")
        return Unusable(
            f"{many} found; exactly one is wanted: cut the image to the subject's face"
            + (", or give its box in a manifest" if mine else "")
        )
    (i,) = mine
    return _Face(seen, scale, found.xyxy[i], found.landmarks[i], float(found.scores[i]))


def _closer(bgr: Bgr, face: _Face, extractor: Extractor) -> _Face:
    """The same face in the pixels of the file, of which it had lost some when the image was reduced."""
    x1, y1, x2, y2 = (float(corner) / face.scale for corner in face.xyxy)
    part, box = part_with(bgr, Box(x1, y1, x2, y2))
    again = _look(part, box, extractor)
    return face if isinstance(again, Unusable) else again


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
        return cut
    return np.asarray(cv2.resize(cut, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
