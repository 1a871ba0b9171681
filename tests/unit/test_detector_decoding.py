"""Decoders: from a network's numbers to faces, and never an exception for numbers or sizes that make no sense."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from overt.detector.centerface import CenterFace
from overt.detector.detections import MOST_FACES, Detections, Detector, Floats, overlap, select
from overt.detector.families import make_detector
from overt.detector.yunet import YuNet
from overt.models.session import open_session
from tests.support.models import model_registry, real_model

WIDTH, HEIGHT = 96, 64


def centerface_maps(cells: Mapping[tuple[int, int], float], size_px: float = 20.0) -> dict[str, Floats]:
    """Outputs for 96 x 64 pixels with a face of `size_px` and the given score at each (row, column)."""
    rows, columns = HEIGHT // 4, WIDTH // 4
    maps = {
        "heatmap": np.zeros((1, 1, rows, columns), np.float32),
        "scale": np.full((1, 2, rows, columns), np.log(size_px / 4), np.float32),
        "offset": np.zeros((1, 2, rows, columns), np.float32),
        "landmarks": np.zeros((1, 10, rows, columns), np.float32),
    }
    maps["landmarks"][0, 0::2] = np.array([0.25, 0.25, 0.5, 0.75, 0.75])[:, None, None]  # y
    maps["landmarks"][0, 1::2] = np.array([0.25, 0.75, 0.5, 0.25, 0.75])[:, None, None]  # x
    for (row, column), score in cells.items():
        maps["heatmap"][0, 0, row, column] = score
    return maps


def centerface(outputs: Mapping[str, Floats]) -> CenterFace:
    return CenterFace(model_registry().detector("centerface"), lambda _: outputs)


def black() -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    return np.zeros((HEIGHT, WIDTH, 3), np.uint8)


def test_centerface_cell_becomes_its_box_and_landmarks() -> None:
    found = centerface(centerface_maps({(8, 12): 0.9})).detect(black(), 0.5)
    # centre of cell (8, 12): x = 12.5 * 4 = 50, y = 8.5 * 4 = 34
    assert found.xyxy.tolist() == pytest.approx(np.array([[40, 24, 60, 44]]), abs=1e-4)
    assert found.scores.tolist() == pytest.approx([0.9])
    expected = [[45, 29], [55, 29], [50, 34], [45, 39], [55, 39]]
    assert found.landmarks[0].tolist() == pytest.approx(np.array(expected), abs=1e-4)


def test_one_face_seen_by_neighbouring_cells_is_one_and_faces_come_best_first() -> None:
    cells = {(8, 12): 0.7, (8, 13): 0.8, (3, 3): 0.9, (12, 20): 0.3}
    found = centerface(centerface_maps(cells)).detect(black(), 0.5)
    assert found.scores.tolist() == pytest.approx([0.9, 0.8])


def test_boxes_are_clipped_to_the_image_and_not_to_its_filling() -> None:
    """70 x 50 pixels are filled up to 96 x 64 for the network."""
    small = np.zeros((50, 70, 3), np.uint8)
    found = centerface(centerface_maps({(0, 0): 0.9, (11, 16): 0.8, (15, 23): 0.7})).detect(small, 0.5)
    assert (found.xyxy[:, :2] >= 0).all()
    assert (found.xyxy[:, 2:] <= [70, 50]).all()
    assert len(found) == 2  # the third lies in the filling


def yunet_outputs(height: int = HEIGHT, width: int = WIDTH) -> dict[str, Floats]:
    outputs = {}
    for stride in (8, 16, 32):
        cells = (height // stride) * (width // stride)
        for kind, columns in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            outputs[f"{kind}_{stride}"] = np.zeros((1, cells, columns), np.float32)
    return outputs


def test_yunet_cell_becomes_its_box_and_landmarks() -> None:
    outputs = yunet_outputs()
    cell = 1 * (WIDTH // 16) + 2  # row 1, column 2 of stride 16: its corner is (32, 16)
    outputs["cls_16"][0, cell], outputs["obj_16"][0, cell] = 0.81, 1.0
    outputs["bbox_16"][0, cell] = [0.5, 0.5, np.log(1.5), np.log(2.0)]
    outputs["kps_16"][0, cell] = [0, 0, 1, 0, 0.5, 0.5, 0, 1, 1, 1]
    found = YuNet(model_registry().detector("yunet-s"), lambda _: outputs).detect(black(), 0.5)
    assert found.scores.tolist() == pytest.approx([0.9])  # geometric mean
    assert found.xyxy.tolist() == pytest.approx(np.array([[28, 8, 52, 40]]), abs=1e-4)
    assert found.landmarks[0].tolist() == pytest.approx(np.array([[32, 16], [48, 16], [40, 24], [32, 32], [48, 32]]))


HOSTILE = st.floats(width=32) | st.sampled_from([float("nan"), float("inf"), float("-inf"), 1e30, -1e30, 0.9])


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.float32, (40, 15), elements=HOSTILE))
def test_rows_that_make_no_sense_never_leave_the_decoder(rows: Floats) -> None:
    """`Detections` refuses what is not finite, so it would raise."""
    with np.errstate(all="ignore"):
        found = select(rows[:, :4], rows[:, 4], rows[:, 5:].reshape(-1, 5, 2), WIDTH, HEIGHT)
    assert (found.xyxy >= 0).all()
    assert (found.xyxy <= [WIDTH, HEIGHT, WIDTH, HEIGHT]).all()
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert (np.diff(found.scores) <= 0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_maps_that_make_no_sense_never_raise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps = centerface_maps({})
    with np.errstate(all="ignore"):
        for name in maps:
            odd = rng.choice([np.nan, np.inf, -np.inf, 1e30, 0.9, -3], maps[name].shape)
            maps[name] = odd.astype(np.float32)
        found = centerface(maps).detect(black(), 0.5)
        outputs = {k: rng.choice([np.nan, np.inf, 1e30, 0.9], v.shape) for k, v in yunet_outputs().items()}
        YuNet(model_registry().detector("yunet-s"), lambda _: outputs).detect(black(), 0.5)
    assert len(found) <= MOST_FACES


def test_noise_that_looks_like_thousands_of_faces_gives_a_bounded_number() -> None:
    corners = np.stack(np.meshgrid(np.arange(0, 3000, 30), np.arange(0, 3000, 30)), -1).reshape(-1, 2)
    xyxy = np.concatenate([corners, corners + 20], 1).astype(np.float32)
    found = select(xyxy, np.full(len(xyxy), 0.9), np.zeros((len(xyxy), 5, 2)), 3000, 3000)
    assert len(found) == MOST_FACES


@pytest.mark.parametrize(
    ("xyxy", "scores", "points", "said"),
    [
        (np.zeros((1, 4)), np.zeros(1, np.float32), np.zeros((1, 5, 2), np.float32), "xyxy: float32"),
        (np.ones((2, 4), np.float32), np.zeros(1, np.float32), np.zeros((1, 5, 2), np.float32), "xyxy: float32"),
        (np.zeros((1, 4), np.float32), np.zeros(1, np.float32), np.zeros((1, 5, 2), np.float32), "no area"),
        (np.array([[0, 0, 1, np.nan]], np.float32), np.zeros(1, np.float32), np.zeros((1, 5, 2), np.float32), "finite"),
    ],
)
def test_columns_are_checked_once_where_they_are_made(xyxy: Floats, scores: Floats, points: Floats, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Detections(xyxy, scores, points)


def test_overlap_is_intersection_over_union() -> None:
    one = np.array([0, 0, 10, 10], np.float32)
    many = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    assert overlap(one, many).tolist() == pytest.approx([1, 1 / 3, 0])


def real_detector(name: str) -> Detector:
    path = real_model(name)
    card = model_registry().detector(name)
    return make_detector(card, open_session(card, path, threads=1).run)


@pytest.mark.parametrize("name", ["centerface", "yunet-s", "yunet-n"])
@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (33, 31), (2, 2)])
def test_real_models_take_images_of_any_size(name: str, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    found = real_detector(name).detect(noise, 0.3)
    assert (found.xyxy[:, 2:] <= [size[1], size[0]]).all()


@pytest.mark.parametrize("name", ["centerface", "yunet-s"])
def test_real_models_find_the_people_in_a_photograph(name: str, test_data: Path) -> None:
    """Frame 20 of the clip shows three; a wrong colour order or scale would still find some, so scores count too."""
    video = cv2.VideoCapture(str(test_data / "videos" / "face-demographics-walking-and-pause.gif"))
    for _ in range(20):
        video.grab()
    bgr = np.asarray(video.read()[1], np.uint8)
    found = real_detector(name).detect(bgr, 0.6)
    assert len(found) == 3
    assert (found.scores > 0.75).all()
    right_eye, left_eye = found.landmarks[:, 0], found.landmarks[:, 1]
    assert (right_eye[:, 0] < left_eye[:, 0]).all()
    inside = (found.landmarks >= found.xyxy[:, None, :2]) & (found.landmarks <= found.xyxy[:, None, 2:])
    assert inside.all()
