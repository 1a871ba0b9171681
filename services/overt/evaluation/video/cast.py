"""Who is enrolled and who walks past: people of a labelled set of photographs, each in one part only.

Of people with more than `enrolled` images the first so many are enrolled and the next one walks past. People with at
most `unlisted_images` are on no list and walk past in their first. Nobody walks past in an image that is enrolled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overt.evaluation.datasets import Dataset, DatasetError, Sample


@dataclass(frozen=True, slots=True)
class Parts:
    """How a set of photographs is divided. `listed` and `unlisted` are the most people of each; None: all."""

    enrolled: int = 3
    unlisted_images: int = 2
    listed: int | None = None
    unlisted: int | None = None
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Passer:
    """One pass of one person in one photograph."""

    number: int
    person: str
    listed: bool
    sample: Sample


@dataclass(frozen=True, slots=True)
class Cast:
    """The parts. Passes are in a shuffled order, so that any stretch of them holds listed and unlisted people."""

    enrolled: tuple[Sample, ...]
    passers: tuple[Passer, ...]

    @property
    def listed(self) -> int:
        """People on the list."""
        return len({sample.person for sample in self.enrolled})


def cast(dataset: Dataset, parts: Parts) -> Cast:
    """Divides the people. Raises DatasetError where nobody can be listed, or nobody is left to pass unlisted."""
    if parts.enrolled < 1:
        raise DatasetError("at least one enrolled image a person is expected")
    by_person: dict[str, list[Sample]] = {}
    for sample in dataset.samples:
        by_person.setdefault(sample.person, []).append(sample)
    rng = np.random.default_rng(parts.seed)
    people = [list(by_person)[i] for i in rng.permutation(len(by_person))]
    listed = [p for p in people if len(by_person[p]) > parts.enrolled][: parts.listed]
    on_list = set(listed)
    unlisted = [p for p in people if p not in on_list and len(by_person[p]) <= parts.unlisted_images][: parts.unlisted]
    if not listed or not unlisted:
        who, how = ("nobody", f"more than {parts.enrolled}") if not listed else ("nobody else", "at most")
        many = how if not listed else f"{how} {parts.unlisted_images}"
        raise DatasetError(
            f"{dataset.source}: {who} has {many} images; choose another number of enrolled or unlisted images "
            f"(people by their number of images: {dataset.images_of_a_person()})"
        )
    enrolled = tuple(sample for person in sorted(listed) for sample in by_person[person][: parts.enrolled])
    parts_played = [(p, True, by_person[p][parts.enrolled]) for p in listed]
    parts_played += [(p, False, by_person[p][0]) for p in unlisted]
    order = rng.permutation(len(parts_played))
    return Cast(enrolled, tuple(Passer(n, *parts_played[i]) for n, i in enumerate(order)))
