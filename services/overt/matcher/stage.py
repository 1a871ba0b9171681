"""The matcher: probes in, matches out; a probe below every threshold ends here and leaves nothing.

Refused on purpose: comparing probes with each other or keeping them, which would find strangers again on another camera
or another day. A probe meets the watchlist only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from overt.matcher.rows import check_unit
from overt.messages import Embedding, Kind, Match
from overt.ports import Candidate, Gallery, Reason, Reject

_SUBJECTS = 4
"""Subjects asked for at first. More where all of these stay below their own thresholds and yet above another's, so that
a crowd of strangers from a strict category hides nobody of a category with a lower threshold."""


@dataclass(frozen=True, slots=True)
class CategoryRule:
    """When a candidate of a category is a match. Thresholds are cosine similarities of one model space."""

    kind: Kind
    threshold: float


class MatcherStage:
    """See `overt.ports.Stage`. `gallery` hands over the gallery as it is now: the watchlist changes while it runs."""

    def __init__(self, gallery: Callable[[], Gallery], rules: Mapping[str, CategoryRule], dimension: int) -> None:
        self._gallery = gallery
        self._rules = rules
        self._dimension = dimension
        self._lowest = min((rule.threshold for rule in rules.values()), default=float("inf"))

    def __call__(self, batch: Sequence[Embedding], /) -> Iterable[Match | Reject]:
        gallery = self._gallery()
        results: list[Match | Reject] = []
        usable: list[Embedding] = []
        for index, probe in enumerate(batch):
            if probe.space_id != gallery.space_id:
                results.append(Reject(index, Reason.WRONG_SPACE))
            elif check_unit(probe.vector, self._dimension):
                results.append(Reject(index, Reason.BAD_VECTOR))
            else:
                usable.append(probe)
        return results + self._matches(gallery, usable)

    def _matches(self, gallery: Gallery, probes: Sequence[Embedding]) -> list[Match]:
        """The matches of usable probes, in their order."""
        matches: dict[int, Match] = {}
        left, subjects = list(range(len(probes))), _SUBJECTS
        while left:
            vectors = np.stack([probes[i].vector for i in left])
            found = gallery.search(vectors, subjects, [probes[i].captured_at_us for i in left])
            undecided = []
            for i, candidates in zip(left, found, strict=True):
                match = self._match(probes[i], candidates)
                if match is not None:
                    matches[i] = match
                elif len(candidates) == subjects and candidates[-1].similarity >= self._lowest:
                    undecided.append(i)
            left, subjects = undecided, subjects * 4
        return [matches[i] for i in sorted(matches)]

    def _match(self, probe: Embedding, candidates: Sequence[Candidate]) -> Match | None:
        for candidate in candidates:
            rule = self._rules.get(candidate.category)
            if rule is None or candidate.similarity < rule.threshold:
                continue
            others = [c.similarity for c in candidates if c.subject_id != candidate.subject_id]
            return Match(
                camera_id=probe.camera_id,
                source_epoch=probe.source_epoch,
                frame_seq=probe.frame_seq,
                face_index=probe.face_index,
                captured_at_us=probe.captured_at_us,
                track_id=probe.track_id,
                subject_id=candidate.subject_id,
                entry_id=candidate.entry_id,
                category=candidate.category,
                kind=rule.kind,
                similarity=candidate.similarity,
                threshold=rule.threshold,
                margin=candidate.similarity - max(others) if others else None,
                space_id=probe.space_id,
                quality=probe.quality,
                thumbnail=probe.thumbnail,
                context=probe.context,
            )
        return None
