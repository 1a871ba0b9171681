"""Pictures for a person's eyes: one face is seen, everybody else is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from overt.detector.views import context, hide, thumbnail
from overt.picture import Bgr

FACE = (100.0, 80.0, 160.0, 160.0)


def noise(height: int = 400, width: int = 900, seed: int = 0) -> Bgr:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_a_thumbnail_shows_the_face_with_a_margin_in_memory_of_its_own() -> None:
    image = noise()
    view = thumbnail(image, FACE, []).bgr()
    assert np.array_equal(view, image[56:184, 82:178])
    assert not np.shares_memory(view, image)


@pytest.mark.parametrize("side", [20, 100, 380])
def test_a_thumbnail_has_at_most_160_pixels_a_side_and_is_never_blown_up(side: int) -> None:
    view = thumbnail(noise(), (10, 10, 10 + side, 10 + side), []).bgr()
    assert max(view.shape[:2]) <= 160
    assert max(view.shape[:2]) <= round(1.6 * side) + 2


def test_a_neighbour_in_the_thumbnail_is_blurred_and_the_face_is_not() -> None:
    image = noise()
    view = thumbnail(image, FACE, [(150, 80, 230, 160)]).bgr()
    assert np.array_equal(view[24:104, 18:78], image[80:160, 100:160])  # the face's own box
    beside = view[24:104, 80:]
    assert beside.std() < 0.4 * image.std()


def test_the_context_is_at_most_640_wide_and_only_the_face_is_seen() -> None:
    image = np.asarray(cv2.resize(noise(40, 90), (900, 400), interpolation=cv2.INTER_NEAREST), np.uint8)
    others = [(300.0, 100.0, 380.0, 200.0), (700.0, 300.0, 800.0, 400.0)]
    view = context(image, FACE, others).bgr()
    assert view.shape == (284, 640, 3)
    plain = context(image, FACE, []).bgr()
    scale = 640 / 900
    for x1, y1, x2, y2 in others:
        cut = np.s_[round(y1 * scale) : round(y2 * scale), round(x1 * scale) : round(x2 * scale)]
        assert view[cut].std() < 0.6 * plain[cut].std()
    own = np.s_[round(80 * scale) + 1 : round(160 * scale) - 1, round(100 * scale) + 1 : round(160 * scale) - 1]
    assert np.array_equal(view[own], plain[own])


def test_what_is_hidden_cannot_be_told_apart_by_anything_but_48_numbers() -> None:
    """Two different faces with the same block means leave the same pixels: nothing can bring back which it was."""
    one, two = noise(80, 80, 1), noise(80, 80, 2)
    for row in range(4):
        for column in range(4):
            cut = np.s_[row * 20 : row * 20 + 20, column * 20 : column * 20 + 20]
            shuffled = one[cut].reshape(-1, 3).copy()
            np.random.default_rng(row * 4 + column).shuffle(shuffled)
            two[cut] = shuffled.reshape(20, 20, 3)
    assert not np.array_equal(one, two)
    hide(one, (0, 0, 80, 80))
    hide(two, (0, 0, 80, 80))
    assert np.array_equal(one, two)


@pytest.mark.parametrize(
    "box", [(-50.0, -50.0, 20.0, 20.0), (890.0, 390.0, 999.0, 999.0), (950.0, 10.0, 990.0, 50.0), (5.0, 5.0, 6.0, 6.0)]
)
def test_boxes_that_leave_the_image_are_cut_at_it(box: tuple[float, float, float, float]) -> None:
    assert context(noise(), FACE, [box]).bgr().shape == (284, 640, 3)
    assert thumbnail(noise(), FACE, [box]).bgr().shape == (128, 96, 3)
