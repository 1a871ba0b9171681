"""Quality: what spoils a face lowers its component, and what does not, does not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from overt.detector.calibration import RISING, read_calibration, shipped_calibration
from overt.detector.quality import Gate, Quality, calibrated, failure, pose_of, promise, quality
from overt.messages import AcquisitionFailure
from overt.picture import Bgr

CALIBRATION = shipped_calibration("centerface")
FRONTAL = np.array([[30.0, 40], [70, 40], [50, 60], [35, 80], [65, 80]])


def face(amplitude: int = 60, grey: int = 120) -> Bgr:
    """A chip of 112 pixels with detail of several sizes."""
    rng = np.random.default_rng(1)
    detail = sum(cv2.resize(rng.normal(0, 1, (n, n)), (112, 112), interpolation=cv2.INTER_CUBIC) for n in (6, 14, 40))
    return np.clip(grey + amplitude * np.repeat(np.asarray(detail)[..., None], 3, 2) / 3, 0, 255).astype(np.uint8)


def measure(chip: Bgr) -> Quality:
    return quality(chip, FRONTAL, 0.9)


def test_a_good_face_is_as_good_as_the_least_of_its_components() -> None:
    good = measure(face())
    assert good.value == min(good.size, good.pose, good.sharpness, good.exposure, good.contrast, good.score)
    assert good.value > 0.7
    assert (good.size, good.pose, good.score) == (1.0, 1.0, 0.9)


def test_blur_lowers_sharpness_step_by_step() -> None:
    sharp = [measure(cv2.GaussianBlur(face(), (0, 0), s).astype(np.uint8)).sharpness for s in (0.5, 1.5, 3, 6)]
    assert sharp == sorted(sharp, reverse=True)
    assert sharp[0] > 0.6
    assert sharp[-1] < 0.2


def test_sharpness_does_not_depend_on_light_or_on_the_chips_size() -> None:
    normal = measure(face()).sharpness
    assert measure((face() * 0.5).astype(np.uint8)).sharpness == pytest.approx(normal, abs=0.05)
    larger = np.asarray(cv2.resize(face(), (150, 150), interpolation=cv2.INTER_CUBIC), np.uint8)
    assert measure(larger).sharpness == pytest.approx(normal, abs=0.15)


def test_noise_of_a_dark_picture_is_not_taken_for_detail() -> None:
    dark = np.clip(np.random.default_rng(0).normal(12, 2, (112, 112, 3)), 0, 255).astype(np.uint8)
    found = measure(dark)
    assert found.exposure == 0
    assert found.value == 0


def test_lost_light_lowers_exposure_and_a_dark_tone_does_not() -> None:
    assert measure(face(grey=60, amplitude=30)).exposure > 0.9
    assert measure(face(grey=10)).exposure < 0.5
    assert measure(face(grey=260)).exposure < 0.6


def test_a_flat_chip_is_worth_nothing() -> None:
    assert measure(np.full((112, 112, 3), 128, np.uint8)).value == 0


def turned(offset: float) -> NDArray[np.float64]:
    """Frontal landmarks with the nose moved along the eyes, in eye distances."""
    points = FRONTAL.copy()
    points[2, 0] += offset * 40
    return points


def test_pose_says_yaw_the_same_to_both_sides_and_profiles_are_useless() -> None:
    left, right = pose_of(turned(-0.4)), pose_of(turned(0.4))
    assert left is not None
    assert right is not None
    assert left.yaw == pytest.approx(right.yaw) == pytest.approx(0.4)
    values = [promise(turned(x), CALIBRATION) for x in (0, 0.3, 0.6, 0.9)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.1


@given(st.floats(-70, 70))
def test_roll_is_measured_and_changes_neither_yaw_nor_pitch(degrees: float) -> None:
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    pose = pose_of(FRONTAL @ turn)
    assert pose is not None
    assert pose.roll_deg == pytest.approx(abs(degrees), abs=1e-6)
    assert pose.yaw == pytest.approx(0, abs=1e-9)
    assert pose.pitch == pytest.approx(0, abs=1e-9)


def test_fewer_pixels_between_the_eyes_promise_less() -> None:
    values = [promise(FRONTAL * scale, CALIBRATION) for scale in (0.1, 0.2, 0.4, 0.8)]
    assert values == sorted(values)
    assert values[0] < 0.8
    assert values[-1] == pytest.approx(1)


@given(arrays.arrays(np.float32, (5, 2), elements=st.floats(width=32)))
def test_any_landmarks_have_a_promise_between_0_and_1(points: NDArray[np.float32]) -> None:
    with np.errstate(all="ignore"):
        assert 0 <= promise(points, CALIBRATION) <= 1


@pytest.mark.parametrize(
    ("largest_px", "seen_us", "reason"),
    [
        (20, 5_000_000, AcquisitionFailure.TOO_SMALL),
        (20, 10_000, AcquisitionFailure.TOO_SMALL),
        (50, 10_000, AcquisitionFailure.TOO_BRIEF),
        (50, 5_000_000, AcquisitionFailure.TOO_POOR),
    ],
)
def test_failure_to_acquire_says_the_plainest_reason(
    largest_px: float, seen_us: int, reason: AcquisitionFailure
) -> None:
    assert failure(largest_px, seen_us, Gate(min_face_px=32)) == reason


def textured(side: int) -> Bgr:
    return np.asarray(cv2.resize(face(), (side, side), interpolation=cv2.INTER_AREA), np.uint8)


@given(st.floats(0.3, 6), st.floats(0.3, 6))
def test_quality_falls_with_blur(one: float, other: float) -> None:
    less, more = sorted((one, other))
    values = [
        calibrated(np.asarray(cv2.GaussianBlur(face(), (0, 0), sigma), np.uint8), FRONTAL, 0.9, CALIBRATION)
        for sigma in (less, more)
    ]
    assert values[0] >= values[1] - 0.02  # rounding to grey levels moves sharpness a little either way


@pytest.mark.parametrize("decoder", ["centerface", "yunet"])
def test_a_face_in_the_dark_of_which_the_detector_is_not_sure_is_not_compared(decoder: str) -> None:
    """However sharp its noise. A dark one that is sure is compared: a limit on darkness would be one on skin."""
    calibration = shipped_calibration(decoder)
    dark = np.clip(face(amplitude=12, grey=12), 0, 255).astype(np.uint8)
    assert calibrated(face(), FRONTAL, 0.92, calibration) > 0.7
    assert calibrated(dark, FRONTAL, 0.45, calibration) < Gate().min_quality
    assert calibrated(dark, FRONTAL, 0.92, calibration) > Gate().min_quality


@given(st.integers(12, 112), st.integers(12, 112))
def test_quality_falls_with_reduction(one: int, other: int) -> None:
    """A face with fewer pixels, brought to the chip's size again, is worth no more."""
    values = []
    for side in sorted((one, other)):
        chip = np.asarray(cv2.resize(textured(side), (112, 112), interpolation=cv2.INTER_LINEAR), np.uint8)
        values.append(calibrated(chip, FRONTAL * side / 112, 0.9, CALIBRATION))
    assert values[0] <= values[1] + 0.02  # resampling moves sharpness a little either way


@given(st.fixed_dictionaries({name: st.floats(-10, 100) for name in RISING}), st.sampled_from(sorted(RISING)))
def test_a_calibration_never_rewards_a_shortcoming(found: dict[str, float], name: str) -> None:
    better = found | {name: found[name] + (5 if RISING[name] else -5)}
    assert 0 <= CALIBRATION.quality(found) <= CALIBRATION.quality(better) <= 1


def test_what_is_no_number_is_the_worst_there_is() -> None:
    assert CALIBRATION.quality({"sharpness": np.nan}) == CALIBRATION.quality({"sharpness": 0.0})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "expected best"),
        ({"best": 1, "penalties": {"beauty": [[0, 1], [1, 0]]}}, "penalties.beauty: expected one of"),
        ({"best": 1, "penalties": {"sharpness": [[0, 1]]}}, "penalties.sharpness: expected two points"),
        ({"best": 1, "penalties": {"sharpness": [[0, 0], [1, 1]]}}, "falling penalties"),
        ({"best": 1, "penalties": {"sharpness": [0, 1]}}, "a list of"),
    ],
)
def test_a_calibration_that_is_wrong_says_where(content: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_calibration(content, "mine.yaml")
