"""What becomes of a watchlist's images: entries and what is known of them, refusals and why, look-alikes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from overt.messages import WatchlistEntry


@dataclass(frozen=True, slots=True)
class Refusal:
    """An image or a line of the source that did not become an entry, and what is wrong with it, for the maker."""

    place: str
    """The file, or the manifest and its line."""
    subject_id: str
    """Empty where the line did not say."""
    why: str


@dataclass(frozen=True, slots=True)
class Detail:
    """What is known of an accepted image beside its entry; nothing that could be compared with a face."""

    place: str
    eye_distance_px: float
    quality: float
    """Least of the image's quality components, 0 to 1."""
    age_years: float | None
    """From the image's date to the window's start; None where no date was given."""
    warnings: tuple[str, ...] = ()


class Resemblance(StrEnum):
    """Why two entries of a list are shown side by side."""

    SAME_PERSON = "same person?"
    """Two subjects so alike that a single match of one raises an alert for the other."""
    NEAR_TWINS = "near-twins"
    """Two subjects above a threshold: each may raise the other's alert."""
    UNLIKE = "wrong photo?"
    """An image that resembles none of its subject's other images."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two entries that resemble each other more, or less, than they should."""

    what: Resemblance
    entry_id: str
    other_id: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Built:
    """A watchlist that was made for one deployment and one model space."""

    deployment_id: str
    space_id: str
    models: Mapping[str, str]
    """The sha256 of each model that made it, by role."""
    built_at_us: int
    entries: Sequence[WatchlistEntry]
    """Ordered by category, subject and image; no two have the same id."""
    details: Mapping[str, Detail] = field(default_factory=dict)
    """For each entry, by its id."""
    refusals: Sequence[Refusal] = ()
    pairs: Sequence[Pair] = ()
    """The most telling first; bounded, see `pairs_in_all`."""
    pairs_in_all: int = 0
    remarks: Sequence[str] = ()
    """Sentences about the list as a whole."""

    @property
    def subjects(self) -> int:
        """Distinct people."""
        return len({entry.subject_id for entry in self.entries})
