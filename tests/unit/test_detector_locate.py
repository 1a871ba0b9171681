"""Finding faces in a reduced image, and looking again at full resolution."""

from __future__ import annotations

import numpy as np
import pytest

from overt.detector.locate import Locator
from tests.support.painted import LOW, Painted, PaintedDetector, landmarks_in, paint


@pytest.mark.parametrize(("min_face_px", "scale"), [(16, 1.0), (8, 1.0), (32, 0.5), (64, 0.25)])
def test_image_is_reduced_until_the_smallest_face_wanted_is_as_small_as_the_detector_finds(
    min_face_px: float, scale: float
) -> None:
    detector = PaintedDetector()
    Locator(detector, min_face_px=min_face_px).locate(paint(640, 360, []))
    assert detector.sizes == [(round(640 * scale), round(360 * scale))]


def test_faces_come_back_in_the_pixels_of_the_whole_image() -> None:
    image = paint(641, 359, [Painted(200, 120, 80), Painted(500, 250, 60)])
    found = Locator(PaintedDetector(), min_face_px=32).locate(image)
    expected = np.array([[160, 80, 240, 160], [470, 220, 530, 280]], np.float32)
    order = np.argsort(found.xyxy[:, 0])
    assert np.abs(found.xyxy[order] - expected).max() < 2.5
    assert np.abs(found.landmarks[order] - landmarks_in(expected)).max() < 2.5


def test_a_huge_image_is_reduced_to_a_bounded_one() -> None:
    detector = PaintedDetector()
    Locator(detector, min_face_px=8).locate(np.zeros((6000, 8000, 3), np.uint8))
    width, height = detector.sizes[0]
    assert width * height <= 8_400_000


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_tiny_and_oblong_images_are_looked_at(size: tuple[int, int]) -> None:
    assert len(Locator(PaintedDetector(), min_face_px=64).locate(np.zeros((*size, 3), np.uint8))) == 0


@pytest.mark.parametrize(("cx", "cy", "size"), [(300, 200, 50), (300, 180, 230), (25, 30, 44), (620, 340, 36)])
def test_a_second_look_gives_landmarks_at_full_resolution(cx: float, cy: float, size: float) -> None:
    """Small and large faces, in the middle and against the edges; within 2 % of the face."""
    image = paint(640, 360, [Painted(cx, cy, size)])
    found = PaintedDetector().detect(image, 0.3)
    detector = PaintedDetector()
    look = Locator(detector, min_face_px=32).look(image, found.xyxy[0])
    assert look is not None
    assert detector.sizes == [(96, 96)]
    assert np.abs(look.landmarks - landmarks_in(found.xyxy)[0]).max() < max(1.0, 0.02 * size)
    assert look.score == pytest.approx(0.9)


def test_a_second_look_at_nothing_finds_nothing_and_never_takes_the_neighbour() -> None:
    image = paint(640, 360, [Painted(350, 200, 60)])
    locator = Locator(PaintedDetector(), min_face_px=32)
    assert locator.look(image, np.array([100, 100, 160, 160], np.float32)) is None
    assert locator.look(image, np.array([275, 170, 335, 230], np.float32)) is None


def test_a_strip_is_no_face_to_look_at() -> None:
    detector = PaintedDetector()
    image = paint(2000, 60, [])
    assert Locator(detector, min_face_px=32).look(image, np.array([0, 20, 2000, 30], np.float32)) is None
    assert detector.sizes == []


def test_reference_images_get_every_sure_face_with_precise_landmarks() -> None:
    image = paint(640, 360, [Painted(200, 120, 80), Painted(500, 250, 60), Painted(350, 60, 70, LOW)])
    found = Locator(PaintedDetector(), min_face_px=32).locate_precisely(image)
    assert len(found) == 2
    expected = landmarks_in(np.array([[160, 80, 240, 160], [470, 220, 530, 280]], np.float32))
    assert np.abs(found.landmarks[np.argsort(found.xyxy[:, 0])] - expected).max() < 1.5


def test_a_threshold_of_the_deployment_replaces_the_models_own() -> None:
    image = paint(640, 360, [Painted(200, 120, 80), Painted(500, 250, 60, LOW)])
    assert len(Locator(PaintedDetector(), min_face_px=32, sure_score=0.95).locate(image)) == 1
    assert len(Locator(PaintedDetector(), min_face_px=32).locate(image)) == 2
