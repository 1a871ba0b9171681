"""A stretch of composed walk-pasts as a camera's source: pictures are made as they are read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from overt.demo.film import shots
from overt.demo.walk import Person, Photo, Walker, schedule
from overt.evaluation.video.cast import Passer
from overt.evaluation.video.conditions import Conditions
from overt.evaluation.video.kept import Keeping, find, name_of
from overt.evaluation.video.truth import ComposedTruth, TrueFace, Xyxy
from overt.frame.reader import BadImage, EndOfSource, Grabbed, Reading
from overt.picture import Bgr
from overt.ports import Clock


def walkers_of(passers: Sequence[Passer], boxes: Sequence[Xyxy], conditions: Conditions, stretch: int) -> list[Walker]:
    """The timetable of a stretch; a walker's label is the pass's number. `boxes` are the faces in the photographs."""
    people = [
        Person(str(passer.number), passer.listed, (Photo(passer.sample.path, box),))
        for passer, box in zip(passers, boxes, strict=True)
    ]
    if not people:
        return []
    seed = int(np.random.default_rng([conditions.seed, stretch]).integers(2**31))
    (timetable,) = schedule(
        people,
        passes=len(people),
        seed=seed,
        concurrent=conditions.at_once,
        face_px=conditions.face_px,
        seconds=conditions.seconds,
        crossing=conditions.crossing,
    )
    # Nobody comes out of a haze: a face that is half transparent would make single frames look worse than they are.
    return [replace(walker, walk=replace(walker.walk, appear_seconds=0.0)) for walker in timetable]


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a scene, encoded as the camera would, and who is where in it."""

    encoded: bytes = field(repr=False)
    faces: tuple[TrueFace, ...]


def pictures(walkers: Sequence[Walker], conditions: Conditions, folder: Path | None = None) -> Iterator[Picture]:
    """A stretch picture by picture: from `folder` where it was kept, else composed, and kept there where one is given.

    Raises ValueError for a photograph that cannot be read; OSError where `folder` cannot be written.
    """
    name = "" if folder is None else name_of(walkers, conditions)
    kept = find(folder, name) if folder is not None else None
    if kept is not None:
        try:
            for faces in kept.faces:
                if (encoded := kept.next()) is not None:
                    yield Picture(encoded, faces)
        finally:
            kept.close()
        return
    keeping = Keeping(folder, name) if folder is not None else None
    labels = [int(walker.label) for walker in walkers]
    try:
        for shot in shots(walkers, seed=conditions.seed, camera=conditions.camera):
            faces = tuple(TrueFace(labels[face.walker], face.xyxy, face.clear) for face in shot.faces)
            picture = Picture(_encoded(shot.bgr, conditions), faces)
            if keeping is not None:
                keeping.add(picture.encoded, faces)
            yield picture
        if keeping is not None:
            keeping.finish()
    finally:
        if keeping is not None:
            keeping.abandon()


class ComposedReader(Reading):
    """See overt.frame.reader.Reader. Notes in `truth` who is where in each picture, and in `made_s` the CPU seconds
    that making pictures has cost this thread. `told` hears which share of `count` pictures is made."""

    def __init__(
        self,
        source: Iterator[Picture],
        count: int,
        fps: float,
        truth: ComposedTruth,
        clock: Clock,
        told: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._count = max(count, 1)
        self._interval_us = 1e6 / fps
        self._truth = truth
        self._clock = clock
        self._told = told
        self._picture: Picture | None = None
        self._number = -1
        self.made_s = 0.0

    def grab(self) -> Grabbed | EndOfSource:
        began_s = time.thread_time()
        self._picture = next(self._source, None)
        if self._picture is None:
            return EndOfSource(self._number + 1, round((self._number + 1) * self._interval_us))
        self._number += 1
        self._truth.faces.append(self._picture.faces)
        self._truth.taken_at_us.append(self._clock())
        self._told((self._number + 1) / self._count)
        self.made_s += time.thread_time() - began_s
        return Grabbed(self._number, round(self._number * self._interval_us))

    def retrieve(self) -> Bgr | BadImage:
        assert self._picture is not None
        began_s = time.thread_time()
        bgr = np.asarray(cv2.imdecode(np.frombuffer(self._picture.encoded, np.uint8), cv2.IMREAD_COLOR), np.uint8)
        self._truth.taken_at_us[-1] = self._clock()
        self.made_s += time.thread_time() - began_s
        return bgr

    def close(self) -> None:
        self._source = iter(())


def _encoded(bgr: Bgr, conditions: Conditions) -> bytes:
    """Light, then compression, as in a camera."""
    if conditions.brightness != 1.0:
        bgr = np.asarray(cv2.convertScaleAbs(bgr, alpha=conditions.brightness), np.uint8)
    if conditions.jpeg_quality is None:
        _, data = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    else:
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, conditions.jpeg_quality])
    return data.tobytes()


Find = Callable[[Bgr], Sequence[Xyxy]]
"""All faces of a picture, uint8 [H, W, 3] BGR: boxes in pixels."""


def locate(passer: Passer, find: Find) -> Xyxy | None:
    """The face with which somebody walks past: that of the sample's box, else the one nearest to the photograph's
    middle; None where there is none."""
    if passer.sample.box is not None:
        return passer.sample.box
    read = cv2.imread(str(passer.sample.path), cv2.IMREAD_COLOR)
    if read is None:
        return None
    bgr = np.asarray(read, np.uint8)
    boxes = [box for box in find(bgr) if min(box[2] - box[0], box[3] - box[1]) >= 8]
    middle = np.array([bgr.shape[1], bgr.shape[0]]) / 2
    return min(
        boxes,
        key=lambda box: float(np.hypot((box[0] + box[2]) / 2 - middle[0], (box[1] + box[3]) / 2 - middle[1])),
        default=None,
    )
