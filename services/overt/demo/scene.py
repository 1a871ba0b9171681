"""Writes a composed scene to a video file, with its ground truth in a JSON document beside it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2

from overt.demo.film import DEFAULT_CAMERA, VERSION, Camera, Locate, frame_count, shots
from overt.demo.rephotograph import LABEL
from overt.demo.walk import ZONE, Walker, Xyxy

Progress = Callable[[int, int], None]
"""Called with how many frames are done, and of how many."""

_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of one pass. Frames count from 0; boxes are pixels, in frames where at least half the face shows."""

    label: str
    listed: bool
    photo: str
    note: str
    """`synthetic re-photograph` where the photograph was changed, else empty."""
    first_frame: int
    last_frame: int
    """First and last frame with a box; both -1 where there is none."""
    boxes: dict[int, Xyxy]


@dataclass(frozen=True, slots=True)
class Scene:
    """A composed video and its ground truth."""

    video: Path
    size: tuple[int, int]
    fps: float
    frames: int
    seed: int
    zone: tuple[tuple[float, float], ...]
    """The authorised polygon, fractions of the picture (x, y)."""
    walkers: tuple[Truth, ...]


def truth_path(video: Path) -> Path:
    """Where the ground truth of `video` lies."""
    return video.with_suffix(".truth.json")


def compose(
    walkers: Sequence[Walker],
    out: Path,
    *,
    seed: int,
    camera: Camera = DEFAULT_CAMERA,
    seconds: float | None = None,
    locate: Locate | None = None,
    progress: Progress | None = None,
) -> Scene:
    """Writes the scene to `out` (Motion JPEG in AVI: each frame is whole, seeking is exact), its truth beside it.

    Both files appear when they are complete, the truth last. Raises ValueError as `film.shots` does and for a name that
    does not end in .avi, OSError where the file cannot be written.
    """
    if out.suffix != ".avi":
        raise ValueError(f"{out}: a file name that ends in .avi was expected")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.stem}.{os.getpid()}.avi")
    boxes: list[dict[int, Xyxy]] = [{} for _ in walkers]
    total = frame_count(walkers, camera.fps, seconds)
    writer = cv2.VideoWriter(str(partial), cv2.VideoWriter.fourcc(*"MJPG"), camera.fps, camera.size)
    try:
        if not writer.isOpened():
            raise OSError(f"{out}: OpenCV cannot write a Motion JPEG video of {camera.size} here")
        for number, shot in enumerate(shots(walkers, seed=seed, camera=camera, seconds=seconds, locate=locate)):
            writer.write(shot.bgr)
            for face in shot.faces:
                if face.clear >= _HALF:
                    boxes[face.walker][number] = face.xyxy
            if progress:
                progress(number + 1, total)
        writer.release()
        os.replace(partial, out)
    finally:
        writer.release()
        partial.unlink(missing_ok=True)
    truths = tuple(_truth(walker, found) for walker, found in zip(walkers, boxes, strict=True))
    scene = Scene(out, camera.size, camera.fps, total, seed, ZONE, truths)
    _write(scene)
    return scene


def key(walkers: Sequence[Walker], *, seed: int, camera: Camera = DEFAULT_CAMERA, seconds: float | None = None) -> str:
    """Names a scene by everything that its pixels follow from, the photographs' content included: 16 hex digits."""
    said = hashlib.sha256(repr((VERSION, cv2.__version__, seed, camera, seconds)).encode())
    for walker in walkers:
        placeless = replace(walker.photo, path=Path(walker.photo.path.name))
        said.update(repr(replace(walker, photo=placeless)).encode())
        said.update(hashlib.sha256(walker.photo.path.read_bytes()).digest())
    return said.hexdigest()[:16]


def composed(
    walkers: Sequence[Walker],
    folder: Path,
    *,
    seed: int,
    camera: Camera = DEFAULT_CAMERA,
    seconds: float | None = None,
    locate: Locate | None = None,
    progress: Progress | None = None,
) -> Scene:
    """The scene from `folder` where the same one was composed before, else composes it there."""
    out = folder / f"scene-{key(walkers, seed=seed, camera=camera, seconds=seconds)}.avi"
    if out.exists() and truth_path(out).exists():
        return read(out)
    return compose(walkers, out, seed=seed, camera=camera, seconds=seconds, locate=locate, progress=progress)


def read(video: Path) -> Scene:
    """The scene of a video that `compose` wrote. Raises OSError without it, ValueError where its truth is broken."""
    try:
        said = json.loads(truth_path(video).read_text(encoding="utf-8"))
        walkers = tuple(
            Truth(**{**walker, "boxes": {int(n): tuple(box) for n, box in walker["boxes"].items()}})
            for walker in said.pop("walkers")
        )
        zone = tuple((float(x), float(y)) for x, y in said.pop("zone"))
        width, height = said.pop("size")
        return Scene(**{**said, "video": video, "size": (width, height), "zone": zone, "walkers": walkers})
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{truth_path(video)}: not the truth of a composed scene; remove it and the video") from error


def _truth(walker: Walker, boxes: dict[int, Xyxy]) -> Truth:
    return Truth(
        label=walker.label,
        listed=walker.listed,
        photo=walker.photo.path.name,
        note=LABEL if walker.photo.rephotographed else "",
        first_frame=min(boxes, default=-1),
        last_frame=max(boxes, default=-1),
        boxes={n: (round(a, 1), round(b, 1), round(c, 1), round(d, 1)) for n, (a, b, c, d) in boxes.items()},
    )


def _write(scene: Scene) -> None:
    out = truth_path(scene.video)
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    partial.write_text(json.dumps({**asdict(scene), "video": scene.video.name}), encoding="utf-8")
    os.replace(partial, out)
