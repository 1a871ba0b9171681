"""How good a face is for comparing, 0 to 1, from components after ISO/IEC 29794-5 (face image quality).

Two stages, so that most faces cost nothing: a *promise* from where the landmarks of the first look are (size, pose)
and the *quality* of an aligned chip (sharpness, contrast and the second look's score besides). What each component
costs is data that `overt evaluate quality` has measured (`overt.detector.calibration`).

`Quality` says the same components each on a scale of its own, for whoever tells a person what is wrong with an image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from overt.detector.calibration import Calibration
from overt.messages import AcquisitionFailure
from overt.picture import Bgr

_INNER_PX = 64  # side of the grey inner face that is measured, whatever the chip's size
_EYE_DISTANCE_PX = (4.0, 24.0)  # 15 px match as well as 24 for most, 10 for two in three
_SHARPNESS = (0.05, 0.28)
_CONTRAST = (2.0, 10.0)  # standard deviation in grey levels; LFW's darkest well exposed faces have 12
_LOST = (0.1, 1.0)
_YAW = (0.2, 0.9)
_PITCH = (0.12, 0.5)
_ROLL_DEG = (25.0, 90.0)
_ROUNDING = 20 / 12  # variance that rounding to whole grey levels adds to the Laplacian: 1/12 by its squared weights
_BRIEF_US = 300_000  # who is in view for less had no time to show a better face


@dataclass(frozen=True, slots=True)
class Pose:
    """Proxies of head pose from five landmarks; 0 is frontal."""

    yaw: float
    """The nose's offset from the middle of the eyes along their line, in eye distances; about 0.5 at 45 degrees."""
    pitch: float
    """The nose's place on the way from eyes (0) to mouth (1): its difference from 0.5."""
    roll_deg: float
    """Turn in the image plane. Alignment undoes it; detectors see upright faces better."""
    eye_distance_px: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Components, each 0 to 1."""

    size: float
    pose: float
    sharpness: float
    exposure: float
    contrast: float
    score: float
    """The detector's, of the second look."""

    @property
    def value(self) -> float:
        """The least of the components."""
        return min(self.size, self.pose, self.sharpness, self.exposure, self.contrast, self.score)


@dataclass(frozen=True, slots=True)
class Gate:
    """What a face must have to be compared at all."""

    min_face_px: float = 32.0
    """Shorter side of its box in the camera's image."""
    min_promise: float = 0.05
    """Below it no second look is taken. Less than the next, since a first look's landmarks are coarse."""
    min_quality: float = 0.1
    """At it no match was lost at thresholds of a false match rate of 1e-5 (1 in 100 at 1e-4), on LFW made worse; at 0.2
    1 in 100. Below it, on recorded video, strangers matched four times as often as the rate says; above it not."""


def pose_of(landmarks: NDArray[np.floating]) -> Pose | None:
    """The pose of landmarks [5, 2]; None where eyes coincide, the mouth is not below, or a number is not finite."""
    if not np.isfinite(landmarks).all():
        return None
    (rx, ry), (lx, ly), (nx, ny), (mrx, mry), (mlx, mly) = landmarks.astype(np.float64).tolist()
    distance = math.hypot(lx - rx, ly - ry)
    if distance < 1:
        return None
    ux, uy = (lx - rx) / distance, (ly - ry) / distance  # along the eyes; (-uy, ux) points down the face
    eyes_x, eyes_y = (rx + lx) / 2, (ry + ly) / 2
    to_mouth = ((mry + mly) / 2 - eyes_y) * ux - ((mrx + mlx) / 2 - eyes_x) * uy
    if to_mouth < 1:
        return None
    return Pose(
        yaw=abs((nx - eyes_x) * ux + (ny - eyes_y) * uy) / distance,
        pitch=abs(((ny - eyes_y) * ux - (nx - eyes_x) * uy) / to_mouth - 0.5),
        roll_deg=abs(math.degrees(math.atan2(uy, ux))),
        eye_distance_px=distance,
    )


def promise(landmarks: NDArray[np.floating], calibration: Calibration) -> float:
    """What the quality will be if the chip is sharp and well lit. 0 where the landmarks are no face."""
    pose = pose_of(landmarks)
    return calibration.quality(_posed(pose)) if pose else 0.0


def calibrated(chip_bgr: Bgr, landmarks: NDArray[np.floating], score: float, calibration: Calibration) -> float:
    """The quality of an aligned chip, uint8 [S, S, 3]; `landmarks` [5, 2] are those in the image it was cut from."""
    found = components(chip_bgr, landmarks, score)
    return calibration.quality(found) if found else 0.0


def components(chip_bgr: Bgr, landmarks: NDArray[np.floating], score: float) -> dict[str, float] | None:
    """All that is measured, by the names of `overt.detector.calibration.RISING`; None where the landmarks are no face.
    `score` is the detector's, of the second look."""
    pose = pose_of(landmarks)
    if pose is None:
        return None
    grey, contrast = _inner(chip_bgr)
    sharpness = _edges(grey) / max(contrast, _CONTRAST[1])
    return _posed(pose) | {"sharpness": sharpness, "contrast": contrast, "score": score}


def quality(chip_bgr: Bgr, landmarks: NDArray[np.floating], score: float) -> Quality:
    """The components of an aligned chip, uint8 [S, S, 3], each on its own scale; `landmarks` [5, 2] are those in the
    image it was cut from."""
    grey, contrast = _inner(chip_bgr)
    pose = pose_of(landmarks)
    return Quality(
        size=_size(pose) if pose else 0.0,
        pose=_frontal(pose) if pose else 0.0,
        sharpness=_rise(_edges(grey) / max(contrast, _CONTRAST[1]), *_SHARPNESS),
        exposure=1 - _rise(_lost(grey), *_LOST),
        contrast=_rise(contrast, *_CONTRAST),
        score=score,
    )


def failure(largest_px: float, seen_us: int, gate: Gate) -> AcquisitionFailure:
    """Why a pass without a crop gave none, the plainest reason first."""
    if largest_px < gate.min_face_px:
        return AcquisitionFailure.TOO_SMALL
    return AcquisitionFailure.TOO_BRIEF if seen_us < _BRIEF_US else AcquisitionFailure.TOO_POOR


def _posed(pose: Pose) -> dict[str, float]:
    return {"eye_distance_px": pose.eye_distance_px, "yaw": pose.yaw}


def _inner(chip_bgr: Bgr) -> tuple[NDArray[np.uint8], float]:
    """Brows to chin, without hair, in grey on a side of its own; and its standard deviation in grey levels."""
    side = chip_bgr.shape[0]
    inner = chip_bgr[side // 5 : side - side // 10, side // 5 : side - side // 5]
    small = cv2.resize(inner, (_INNER_PX, _INNER_PX), interpolation=cv2.INTER_AREA)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
    _, deviation = cv2.meanStdDev(grey)
    return grey, float(deviation[0, 0])


def _lost(grey: NDArray[np.uint8]) -> float:
    """Share of pixels without detail, whatever tone a skin has: by the standard black up to 25, white from 247."""
    return (np.count_nonzero(grey <= 25) + np.count_nonzero(grey >= 247)) / grey.size


def _size(pose: Pose) -> float:
    return _rise(pose.eye_distance_px, *_EYE_DISTANCE_PX)


def _frontal(pose: Pose) -> float:
    turned = max(_rise(pose.yaw, *_YAW), _rise(pose.pitch, *_PITCH), _rise(pose.roll_deg, *_ROLL_DEG))
    return 1 - turned


def _edges(grey: NDArray[np.uint8]) -> float:
    """Standard deviation of the Laplacian; divided by that of the image it says sharpness whatever the light.

    Where contrast is low the edges are those of noise and of the codec's blocks, and must not look like a face.
    """
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_32F))
    return math.sqrt(max(0.0, float(deviation[0, 0]) ** 2 - _ROUNDING))


def _rise(value: float, none: float, full: float) -> float:
    """0 up to `none`, 1 from `full`, a line between."""
    return min(1.0, max(0.0, (value - none) / (full - none)))
