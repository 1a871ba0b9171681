"""Comparisons to measure a quality by: images made worse at random, against a good image of the same person.

Of each person one image is the reference; every other is degraded and goes the way of a passer-by's face: second look,
chip, vector. The face is looked for where it must be, so a trial says what a face is worth once it is detected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from overt.detector.align import Aligner
from overt.detector.locate import Locator
from overt.detector.quality import components
from overt.evaluation.datasets import Dataset, Sample
from overt.evaluation.degrade import degraded, drawn
from overt.messages import Vector
from overt.picture import BadPicture, Bgr, decode

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Lens:
    """One embedding model with what cuts its chips."""

    name: str
    aligner: Aligner
    embed: Callable[[Bgr], Vector]


@dataclass(frozen=True, slots=True)
class Trials:
    """Columns [n] of comparisons, and what was left out."""

    components: Mapping[str, NDArray[np.float64]] = field(repr=False)
    person: NDArray[np.intp] = field(repr=False)
    """Index of the reference."""
    probes: Mapping[str, Vector] = field(repr=False)
    """By model: float32 [n, D]."""
    references: Mapping[str, Vector] = field(repr=False)
    """By model: float32 [people, D]."""
    not_found: int
    """Degraded faces that the second look did not find, or that could not be aligned."""

    def __len__(self) -> int:
        return len(self.person)


def gather(
    data: Dataset,
    locator: Locator,
    lenses: Sequence[Lens],
    *,
    people: int | None,
    versions: int,
    seed: int,
    progress: Callable[[int, int], None],
) -> Trials:
    """Trials of `people` people drawn at random (None: of all) with two images or more, `versions` of each image.

    Raises ValueError when nobody has two images with a face.
    """
    by_person: dict[str, list[Sample]] = {}
    for sample in data.samples:
        by_person.setdefault(sample.person, []).append(sample)
    several = [images for images in by_person.values() if len(images) > 1]
    random = np.random.default_rng(seed)
    order = random.permutation(len(several))[:people]
    made = _Making(locator, lenses, versions)
    for done, index in enumerate(order, start=1):
        made.person(several[index], random)
        progress(done, len(order))
    return made.trials()


class _Making:
    def __init__(self, locator: Locator, lenses: Sequence[Lens], versions: int) -> None:
        self._locator = locator
        self._lenses = lenses
        self._versions = versions
        self._rows: list[Mapping[str, float]] = []
        self._person: list[int] = []
        self._probes: dict[str, list[Vector]] = {lens.name: [] for lens in lenses}
        self._references: dict[str, list[Vector]] = {lens.name: [] for lens in lenses}
        self._not_found = 0

    def person(self, images: Sequence[Sample], random: np.random.Generator) -> None:
        reference = self._good(images[0])
        chips = None if reference is None else self._chips(reference[0], reference[2])
        if chips is None:
            return
        found = [trial for sample in images[1:] for trial in self._degraded(sample, random)]
        if not found:
            return
        number = len(self._references[self._lenses[0].name])
        for lens in self._lenses:
            self._references[lens.name].append(lens.embed(chips[lens.name][None])[0])
            self._probes[lens.name].append(lens.embed(np.stack([cut[lens.name] for _, cut in found])))
        self._rows += [measured for measured, _ in found]
        self._person += [number] * len(found)

    def trials(self) -> Trials:
        if not self._rows:
            raise ValueError("nobody has two images with a face, so there is nothing to compare")
        names = self._rows[0]
        return Trials(
            {name: np.array([row[name] for row in self._rows]) for name in names},
            np.array(self._person),
            {name: np.concatenate(vectors) for name, vectors in self._probes.items()},
            {name: np.stack(vectors) for name, vectors in self._references.items()},
            self._not_found,
        )

    def _good(self, sample: Sample) -> tuple[Bgr, Floats, Floats] | None:
        """An image with the box and the landmarks of its most central face."""
        try:
            bgr = decode(sample.path.read_bytes())
        except BadPicture:
            return None
        found = self._locator.locate_precisely(bgr)
        if not len(found):
            return None
        centres = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2
        central = int(np.argmin(np.linalg.norm(centres - np.array(bgr.shape[1::-1]) / 2, axis=1)))
        return bgr, found.xyxy[central], found.landmarks[central]

    def _degraded(
        self, sample: Sample, random: np.random.Generator
    ) -> list[tuple[Mapping[str, float], dict[str, Bgr]]]:
        good = self._good(sample)
        if good is None:
            return []
        bgr, xyxy, landmarks = good
        trials: list[tuple[Mapping[str, float], dict[str, Bgr]]] = []
        for _ in range(self._versions):
            how = drawn(random, float(np.linalg.norm(landmarks[1] - landmarks[0])))
            worse = degraded(bgr, how, random)
            look = self._locator.look(worse, np.asarray(xyxy * how.scale, np.float32))
            chips = None if look is None else self._chips(worse, look.landmarks)
            measured = (
                None if look is None or chips is None
                else components(chips[self._lenses[0].name], look.landmarks, look.score)
            )  # fmt: skip
            if measured is None or chips is None:
                self._not_found += 1
                continue
            trials.append((measured, chips))
        return trials

    def _chips(self, bgr: Bgr, landmarks: Floats) -> dict[str, Bgr] | None:
        cut = {lens.name: lens.aligner.chip(bgr, landmarks) for lens in self._lenses}
        whole = {name: chip for name, chip in cut.items() if chip is not None}
        return whole if len(whole) == len(cut) else None
