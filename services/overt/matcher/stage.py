"""The matcher: probes in, matches out; a probe below every threshold ends here and leaves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from overt.matcher.exact import check_unit
from overt.messages import Embedding, Kind, Match
from overt.ports import Candidate, Gallery, Reason, Reject

_SUBJECTS = 4
"""Subjects asked for: the first may stay below its category's threshold while another reaches its own."""


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
        if usable:
            found = gallery.search(np.stack([p.vector for p in usable]), _SUBJECTS, [p.captured_at_us for p in usable])
            for probe, candidates in zip(usable, found, strict=True):
                match = self._match(probe, candidates)
                if match is not None:
                    results.append(match)
        return results

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
