"""The detector on real video with the real models: each person is one track and gives a few crops that are theirs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from overt.detector.align import Aligner
from overt.detector.calibration import shipped_calibration
from overt.detector.families import make_detector
from overt.detector.locate import Locator
from overt.detector.stage import DetectorStage, Output
from overt.frame.stillness import Stillness, still_rule
from overt.messages import AcquisitionFailure, Box, Face, Frame, Pass, Sightings
from overt.models.card import EmbedderCard
from overt.models.preprocess import to_input
from overt.models.session import open_session
from overt.picture import Picture
from overt.ports import Reject
from tests.support.models import model_registry, real_model

PAUSE = "face-demographics-walking-and-pause.gif"
"""Three people walk towards the camera side by side and stop: 41 frames of 480 x 270."""
WALKING = "face-demographics-walking.gif"
"""Two people further away: faces of 11 to 23 pixels of width."""
DETECTORS = ["centerface", "yunet-s"]


@cache
def stage(detector: str) -> DetectorStage:
    path = real_model(detector)
    card = model_registry().detector(detector)
    session = open_session(card, path, threads=1)
    alignment = embedder().alignment
    return DetectorStage(
        Locator(make_detector(card, session.run), min_face_px=32),
        Aligner(np.array(alignment.points_xy), alignment.chip_px),
        calibration=shipped_calibration(card.decoder),
        observe=True,
    )


def embedder() -> EmbedderCard:
    return model_registry().embedder("dlib-resnet-v1")


@cache
def frames(video: Path, every: int = 1) -> tuple[Frame, ...]:
    """The video's frames, each `every`-th, as a file source would send them, and the end."""
    capture = cv2.VideoCapture(str(video))
    per_second = capture.get(cv2.CAP_PROP_FPS)
    found: list[Frame] = []
    number = 0
    while True:
        ok, image = capture.read()
        captured_at_us = 1_700_000_000_000_000 + round(number / per_second * 1e6)
        if not ok or number % every == 0:
            picture = Picture(bgr=np.asarray(image, np.uint8)) if ok else None
            found.append(Frame("gate", 1, number, captured_at_us, None, 0, 0, 480, 270, picture, end=not ok))
        if not ok:
            return tuple(found)
        number += 1


@cache
def run(detector: str, video: Path, every: int = 1) -> tuple[Output | Reject, ...]:
    made = stage(detector)
    return tuple(made.step(made.fresh("gate"), frames(video, every))[1])


def of(results: tuple[Output | Reject, ...], track_id: str) -> list[Face]:
    return [r for r in results if isinstance(r, Face) and r.track_id == track_id]


@pytest.mark.parametrize("every", [1, 2])  # 12.5 and 6.25 frames a second
@pytest.mark.parametrize("detector", DETECTORS)
def test_three_people_are_three_passes_with_two_crops_or_more(detector: str, every: int, test_data: Path) -> None:
    """Seen by eye: three people in every frame. The first crop comes with the first frame."""
    results = run(detector, test_data / "videos" / PAUSE, every)
    passes = [r for r in results if isinstance(r, Pass)]
    assert len(passes) == 3
    for passer in passes:
        assert passer.frames >= 0.9 * len(frames(test_data / "videos" / PAUSE, every)) - 1
        assert 2 <= passer.crops <= 4
        assert passer.failure is None
        assert of(results, passer.track_id)[0].frame_seq <= 2 * every
        assert len(of(results, passer.track_id)) == passer.crops


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_track_stays_with_its_person(detector: str, test_data: Path) -> None:
    """Nobody changes places: from left to right the tracks of every frame are in the same order."""
    order: set[tuple[str, ...]] = set()
    for result in run(detector, test_data / "videos" / PAUSE):
        if isinstance(result, Sightings):
            seen = sorted((s.box.x1, s.track_id) for s in result.faces if s.track_id)
            order.add(tuple(track for _, track in seen))
    assert len(order) == 1


@pytest.mark.parametrize("detector", DETECTORS)
def test_crops_of_a_person_are_alike_and_of_two_people_are_not(detector: str, test_data: Path) -> None:
    """The aligned chips are what the embedding model wants: cosines of one person above all of two people."""
    card = embedder()
    session = open_session(card, real_model(card.name), threads=1)
    faces = [r for r in run(detector, test_data / "videos" / PAUSE) if isinstance(r, Face)]
    chips = np.stack([f.crop.bgr() for f in faces])
    vectors = session.run(to_input(card, chips))["embedding"]
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = vectors @ vectors.T
    same = np.array([[a.track_id == b.track_id for b in faces] for a in faces])
    distinct = ~np.eye(len(faces), dtype=np.bool_)
    assert cosine[same & distinct].min() > cosine[~same].max()


@pytest.mark.parametrize("detector", DETECTORS)
def test_people_too_far_away_are_counted_and_never_compared(detector: str, test_data: Path) -> None:
    results = run(detector, test_data / "videos" / WALKING)
    assert [r.failure for r in results if isinstance(r, Pass)] == [AcquisitionFailure.TOO_SMALL] * 2
    assert not [r for r in results if isinstance(r, Face)]


def test_boxes_and_landmarks_lie_in_the_image_and_thumbnails_show_the_face(test_data: Path) -> None:
    for face in (r for r in run("centerface", test_data / "videos" / PAUSE) if isinstance(r, Face)):
        assert inside(face.box, Box(0, 0, 480, 270))
        points = face.landmarks.reshape(5, 2)
        assert ((points > [face.box.x1, face.box.y1]) & (points < [face.box.x2, face.box.y2])).all()
        height, width = face.thumbnail.bgr().shape[:2]
        assert face.box.width < width <= 160
        assert face.box.height < height <= 160


def inside(box: Box, outer: Box) -> bool:
    return outer.x1 <= box.x1 < box.x2 <= outer.x2 and outer.y1 <= box.y1 < box.y2 <= outer.y2


def test_batches_and_lossless_encoding_change_nothing(test_data: Path) -> None:
    """One frame at a time, decoded from PNG, as over Kafka without real time."""
    made = stage("centerface")
    state = made.fresh("gate")
    results: list[Output | Reject] = []
    for frame in frames(test_data / "videos" / PAUSE)[:12]:
        assert frame.image is not None
        alike = Frame(
            "gate",
            1,
            frame.frame_seq,
            frame.captured_at_us,
            None,
            0,
            0,
            480,
            270,
            Picture(encoded=frame.image.encoded("png")),
        )
        state, outputs = made.step(state, [alike])
        results += outputs
    whole = run("centerface", test_data / "videos" / PAUSE)
    ours = [(f.cause, f.track_id, f.box, f.quality) for f in results if isinstance(f, Face)]
    theirs = [(f.cause, f.track_id, f.box, f.quality) for f in whole if isinstance(f, Face) and f.frame_seq < 12]
    assert ours == theirs
    assert len(ours) >= 3
    crops = [f.crop for f in results if isinstance(f, Face)]
    assert crops == [f.crop for f in whole if isinstance(f, Face) and f.frame_seq < 12]


@pytest.mark.parametrize("video", [PAUSE, "head-pose-face-detection-female-and-male.gif"])
def test_who_is_there_is_found_as_well_when_still_frames_are_left_out(video: str, test_data: Path) -> None:
    """People who stand still for seconds: the same passes, each with as many crops."""
    stillness, path = Stillness(still_rule(32)), test_data / "videos" / video
    moved = [f for f in frames(path) if f.image is None or not stillness.unchanged(f.image.bgr(), f.captured_at_us)]
    assert len(moved) < 0.95 * len(frames(path))
    made = stage("yunet-s")
    some, whole = tuple(made.step(made.fresh("gate"), moved)[1]), run("yunet-s", path)
    assert [p.crops for p in some if isinstance(p, Pass)] == [p.crops for p in whole if isinstance(p, Pass)]
