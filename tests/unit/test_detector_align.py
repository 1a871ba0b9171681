"""Alignment: a similarity to the model's template, exact, and None for what is no face."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from overt.detector.align import Aligner, similarity

TEMPLATE = np.array([[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]])
ALIGNER = Aligner(TEMPLATE, 112)


def moved(points: NDArray[np.float64], scale: float, angle: float, x: float, y: float) -> NDArray[np.float64]:
    c, s = math.cos(angle) * scale, math.sin(angle) * scale
    return np.asarray(points @ np.array([[c, s], [-s, c]]) + [x, y])


@given(st.floats(0.2, 20), st.floats(-math.pi, math.pi), st.floats(-2000, 2000), st.floats(-2000, 2000))
def test_alignment_inverts_any_similarity(scale: float, angle: float, x: float, y: float) -> None:
    matrix = similarity(moved(TEMPLATE, scale, angle, x, y), TEMPLATE)
    assert matrix is not None
    back = moved(TEMPLATE, scale, angle, x, y) @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(back - TEMPLATE).max() < 1e-6


@given(arrays.arrays(np.float64, (5, 2), elements=st.floats(0, 400)))
def test_no_other_similarity_comes_nearer(points: NDArray[np.float64]) -> None:
    """Against the general least squares solution of the same four unknowns."""
    matrix = similarity(points, TEMPLATE)
    if matrix is None:
        return
    rows = [[x, -y, 1, 0] for x, y in points] + [[y, x, 0, 1] for x, y in points]
    wanted = np.concatenate([TEMPLATE[:, 0], TEMPLATE[:, 1]])
    best = np.linalg.lstsq(np.array(rows), wanted, rcond=None)[0]
    ours = np.array([matrix[0, 0], matrix[1, 0], matrix[0, 2], matrix[1, 2]])
    assert np.linalg.norm(np.array(rows) @ ours - wanted) <= np.linalg.norm(np.array(rows) @ best - wanted) + 1e-6


def test_a_mirrored_face_is_never_mirrored_back() -> None:
    matrix = similarity(TEMPLATE * [-1, 1] + [112, 0], TEMPLATE)
    assert matrix is not None
    assert np.linalg.det(matrix[:, :2]) > 0


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((5, 2)),
        np.full((5, 2), 77.0) + np.arange(10).reshape(5, 2) * 1e-3,
        np.full((5, 2), np.nan),
        np.array([[1, 1], [2, 2], [np.inf, 3], [4, 4], [5, 5]]),
        np.full((5, 2), 1e308),
    ],
)
def test_landmarks_that_are_no_face_give_no_chip(points: NDArray[np.float64]) -> None:
    with np.errstate(all="ignore"):
        assert ALIGNER.chip(np.zeros((100, 100, 3), np.uint8), points) is None


@settings(max_examples=100, deadline=None)
@given(
    arrays.arrays(np.float32, (5, 2), elements=st.floats(-1e5, 1e5, width=32) | st.just(float("nan"))),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_any_landmarks_and_any_size_give_a_chip_or_none(points: NDArray[np.float32], height: int, width: int) -> None:
    chip = ALIGNER.chip(np.full((height, width, 3), 200, np.uint8), points)
    assert chip is None or (chip.shape == (112, 112, 3) and chip.dtype == np.uint8)


def scene() -> NDArray[np.uint8]:
    """A smooth picture, in which interpolation errs little."""
    coarse = np.random.default_rng(3).integers(0, 256, (12, 16, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_a_chip_shows_what_a_warp_of_the_whole_image_would() -> None:
    landmarks = moved(TEMPLATE, 0.9, 0.2, 230, 120)
    matrix = similarity(landmarks, TEMPLATE)
    assert matrix is not None
    chip = ALIGNER.chip(scene(), landmarks)
    assert chip is not None
    direct = cv2.warpAffine(scene(), matrix, (112, 112), flags=cv2.INTER_LINEAR)
    assert np.abs(chip.astype(int) - direct.astype(int)).max() <= 2


def test_a_large_face_is_averaged_and_not_sampled() -> None:
    """Of fine noise around a face of four times the chip's scale hardly any is left; sampling would keep all of it."""
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    chip = ALIGNER.chip(noise, moved(TEMPLATE, 4, 0.1, 80, 80))
    assert chip is not None
    assert chip[30:80, 30:80].std() < 0.45 * noise.std()


@pytest.mark.parametrize("scale", [1.0, 3.0, 4.0, 6.0, 9.0])
def test_a_face_of_any_size_stays_where_it_belongs(scale: float) -> None:
    """A slanting edge shows where it lies to a fraction of a pixel: reducing before the warp shifts nothing."""
    rows, columns = np.mgrid[0:1200, 0:1200]
    middle = 60 + 56 * scale
    edge = np.where(columns >= np.round(middle + 0.1 * (rows - middle)), 255, 0)
    for across in (edge, edge.T):
        image = np.repeat(across[..., None], 3, 2).astype(np.uint8)
        chip = ALIGNER.chip(np.ascontiguousarray(image), TEMPLATE * scale + 60)
        assert chip is not None
        bright = (chip[..., 0] if across is edge else chip[..., 0].T).astype(float).sum(1) / 255
        lies_at = 111.5 - bright  # between the last dark and the first bright pixel's centres
        expected = 56 - 0.5 / scale + 0.1 * (np.arange(112) - 56)
        assert abs((lies_at - expected)[5:107].mean()) < 0.04


def test_a_face_beside_the_image_gives_no_chip_and_one_at_its_edge_is_filled_with_black() -> None:
    white = np.full((100, 100, 3), 255, np.uint8)
    assert ALIGNER.chip(white, moved(TEMPLATE, 1, 0, 500, 500)) is None
    edge = ALIGNER.chip(white, moved(TEMPLATE, 1, 0, 50, 0))
    assert edge is not None
    assert (edge[50, 10] == 255).all()
    assert (edge[50, 100] == 0).all()
