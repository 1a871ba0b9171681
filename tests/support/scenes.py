"""Small composed scenes for tests: people of the LFW photographs walk past, and a watchlist of other photographs.

Everything follows from the arguments, so that two runs of one scene see the same frames. A scene is composed once and
found again in the folder given, which should outlive the test run.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from overt.demo.film import Camera
from overt.demo.scene import composed
from overt.demo.walk import ZONE, Photo, Walk, Walker

_PAIRS = {
    "Arminio_Fraga": (3, 4),
    "Ray_Romano": (2, 3),
    "Clara_Harris": (1, 3),
    "Rob_Marshall": (3, 4),
    "John_McCain": (2, 4),
    "Tom_Daschle": (2, 3),
    "Aaron_Peirsol": (1, 2),
    "Chanda_Rubin": (2, 3),
    "Edmund_Stoiber": (1, 3),
    "Hugh_Grant": (1, 4),
    "Prince_Charles": (1, 2),
    "Jose_Maria_Aznar": (1, 3),
    "Zhang_Ziyi": (2, 4),
    "David_Trimble": (1, 2),
    "Wen_Jiabao": (2, 4),
    "Richard_Gere": (2, 4),
    "Franz_Muentefering": (1, 2),
    "Mike_Krzyzewski": (1, 3),
    "Thomas_OBrien": (3, 4),
    "Cruz_Bustamante": (1, 4),
    "Sheryl_Crow": (2, 3),
    "Xavier_Malisse": (1, 4),
    "Kristanna_Loken": (2, 4),
    "Sepp_Blatter": (3, 4),
}
"""Photograph of the watchlist and photograph of the walk, by their numbers. Chosen since both models find the two alike
(cosine above 0.82 and 0.96): what is tested with them is the pipeline and not the models."""

PEOPLE = tuple(_PAIRS)
"""Names for `Scenes`: 24 people."""

_FACE_XYXY = (78.0, 66.0, 172.0, 190.0)
"""Deep-funneled LFW photographs are 250x250 and aligned: the mean face of 220 of them, within 10 px."""


def subject(person: str) -> str:
    """A person's id on the watchlist."""
    return person.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class TestScene:
    """A composed video: `people` pass one after the other, the next when the one before is half-way."""

    __test__ = False  # no test, whatever its name

    video: Path
    frames: int
    fps: float
    people: tuple[str, ...]
    zone: tuple[tuple[float, float], ...] = ZONE

    @property
    def seconds(self) -> float:
        return self.frames / self.fps


class Scenes:
    """Composes scenes into `folder` from LFW, which lies in the folder `lfw` of the test data."""

    def __init__(self, test_data: Path, folder: Path) -> None:
        self._lfw = test_data / "lfw"
        self._folder = folder

    def walk(
        self,
        people: Sequence[str],
        *,
        size: tuple[int, int] = (480, 270),
        fps: float = 10.0,
        first_s: float = 0.3,
        every_s: float = 2.0,
        seconds: float = 2.4,
        near_px: float = 72.0,
        until_s: float | None = None,
        seed: int = 1,
    ) -> TestScene:
        """`people` (of `PEOPLE`; may repeat, may be empty when `until_s` is given) walk past, each `seconds` long,
        one begins `every_s` after the other; it ends half a second after the last, or `until_s`."""
        walkers = [
            Walker(
                label=subject(person),
                listed=False,  # the watchlist decides
                photo=Photo(self._photo(person, 1), _FACE_XYXY),
                start_s=first_s + every_s * number,
                walk=Walk(
                    from_x=0.42 if number % 2 else 0.58,
                    to_x=0.34 if number % 2 else 0.66,
                    far_px=32.0 * size[1] / 270,
                    near_px=near_px * size[1] / 270,
                    seconds=seconds,
                    leave_seconds=0.5,
                ),
            )
            for number, person in enumerate(people)
        ]
        camera = Camera(size=size, fps=fps, noise=2.0)
        scene = composed(walkers, self._folder, seed=seed, camera=camera, seconds=until_s)
        return TestScene(scene.video, scene.frames, fps, tuple(people))

    def watchlist(self, people: Sequence[str], folder: Path) -> Path:
        """A watchlist's folder at `folder`: one subfolder a subject, with another photograph than that of the walk."""
        for person in people:
            target = folder / subject(person)
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(self._photo(person, 0), target)
        return folder

    def _photo(self, person: str, which: int) -> Path:
        return self._lfw / person / f"{person}_{_PAIRS[person][which]:04}.jpg"
