"""A stretch of composed walk-pasts as a camera's source: pictures are made as they are read, and never kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

from overt.demo.film import Shot, frame_count, shots
from overt.demo.walk import Person, Photo, Walker, schedule
from overt.evaluation.video.cast import Passer
from overt.evaluation.video.conditions import Conditions
from overt.evaluation.video.truth import TrueFace, Truth, Xyxy
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
    return list(timetable)


class ComposedReader(Reading):
    """See overt.frame.reader.Reader. Notes in `truth` who is where in each picture, and in `made_s` the CPU seconds
    that making pictures has cost this thread. `told` hears which share of the pictures is made."""

    def __init__(
        self,
        walkers: Sequence[Walker],
        conditions: Conditions,
        truth: Truth,
        clock: Clock,
        told: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._told = told
        self._frames = frame_count(walkers, conditions.fps)
        self._labels = [int(walker.label) for walker in walkers]
        self._conditions = conditions
        self._truth = truth
        self._clock = clock
        self._shots: Iterator[Shot] = shots(walkers, seed=conditions.seed, camera=conditions.camera)
        self._shot: Shot | None = None
        self._number = -1
        self.made_s = 0.0

    def grab(self) -> Grabbed | EndOfSource:
        began_s = time.thread_time()
        self._shot = next(self._shots, None)
        interval_us = 1e6 / self._conditions.fps
        if self._shot is None:
            return EndOfSource(self._number + 1, round((self._number + 1) * interval_us))
        self._number += 1
        self._told((self._number + 1) / self._frames)
        faces = (TrueFace(self._labels[face.walker], face.xyxy, face.clear) for face in self._shot.faces)
        self._truth.faces.append(tuple(faces))
        self._truth.taken_at_us.append(self._clock())
        self.made_s += time.thread_time() - began_s
        return Grabbed(self._number, round(self._number * interval_us))

    def retrieve(self) -> Bgr | BadImage:
        assert self._shot is not None
        began_s = time.thread_time()
        bgr = _finished(self._shot.bgr, self._conditions)
        self._truth.taken_at_us[-1] = self._clock()
        self.made_s += time.thread_time() - began_s
        return bgr

    def close(self) -> None:
        self._shots = iter(())


def _finished(bgr: Bgr, conditions: Conditions) -> Bgr:
    """Light, then compression, as in a camera."""
    if conditions.brightness != 1.0:
        bgr = np.asarray(cv2.convertScaleAbs(bgr, alpha=conditions.brightness), np.uint8)
    if conditions.jpeg_quality is None:
        return bgr
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, conditions.jpeg_quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


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
