"""Scenes with painted faces for the tests of what a run leaves behind: strong detail, nobody's likeness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from overt.messages import Alert, Authority, Box, Frame, Kind
from overt.picture import Bgr, Picture

START_US = 1_778_749_200_000_000
CAMERA = "north"


def texture(height: int, width: int, seed: int) -> Bgr:
    """Noise in cells of 3 pixels, uint8 [H, W, 3]: detail that a blur destroys and video coding keeps."""
    cells = np.random.default_rng(seed).integers(0, 256, (height // 3 + 1, width // 3 + 1, 3), np.uint8)
    return np.ascontiguousarray(np.kron(cells, np.ones((3, 3, 1), np.uint8))[:height, :width])


def scene(faces: dict[int, Box], *, height: int = 360, width: int = 640) -> Bgr:
    """A grey picture with a textured patch for each face; the seed tells the faces apart."""
    picture = np.full((height, width, 3), 110, np.uint8)
    for seed, box in faces.items():
        x1, y1, x2, y2 = (round(c) for c in (box.x1, box.y1, box.x2, box.y2))
        picture[y1:y2, x1:x2] = texture(y2 - y1, x2 - x1, seed)
    return picture


def frame_of(bgr: Bgr, at_us: int, *, seq: int = 0, camera: str = CAMERA, left: int = 0, top: int = 0) -> Frame:
    """A frame whose zone is the whole picture, unless it lies at (left, top) in a larger one."""
    height, width = bgr.shape[:2]
    return Frame(camera, 1, seq, at_us, None, left, top, left + width, top + height, Picture(bgr=bgr))


def frame_without_picture(at_us: int) -> Frame:
    """A frame of which only the time matters."""
    return Frame(CAMERA, 1, 0, at_us, None, 0, 0, 640, 360, None)


def alert_for(track: str, *, camera: str = CAMERA, kind: Kind = Kind.WANTED, subject: str = "s-1") -> Alert:
    """An alert of a track, with a probe image of noise."""
    return Alert(
        alert_id=f"alert-{track}",
        deployment_id="high-street",
        site_id="high-street",
        camera_id=camera,
        zone="pavement",
        source_epoch=1,
        frame_seq=7,
        face_index=0,
        track_id=track,
        captured_at_us=START_US,
        alerted_at_us=START_US + 850_000,
        subject_id=subject,
        entry_id="entry-1",
        category="wanted-robbery",
        kind=kind,
        similarity=0.9612345678,
        threshold=0.956,
        margin=0.05,
        space_id="dlib-resnet-v1/1",
        confirmations=2,
        authority=Authority.UNSIGNED,
        probe_image=Picture(bgr=texture(60, 60, 99)),
        context=None,
    )


def likeness(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Correlation of two pictures of one shape after their coarse brightness is taken out; 1 is the same detail."""
    a, b = (_detail(picture) for picture in (one, other))
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum() / scale) if scale else 0.0


def detail_energy(picture: NDArray[np.uint8]) -> float:
    """Mean square of what a 9 x 9 mean leaves over: the energy of fine detail."""
    return float(np.square(_detail(picture)).mean())


def _detail(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    import cv2

    grey = picture.astype(np.float64).mean(axis=2)
    return np.asarray(grey - cv2.blur(grey, (9, 9)), np.float64)
