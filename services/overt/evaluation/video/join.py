"""Truth and what the pipeline made of it, brought together: one record for each pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from overt.evaluation.video.cast import Passer
from overt.evaluation.video.records import (
    NOT_COMPOSED,
    TAKEN,
    UNSEEN,
    UNTRACKED,
    AlertRecord,
    CropRecord,
    PassRecord,
    Scored,
)
from overt.evaluation.video.rules import NOTHING, Confirming, Scores, Subjects, scores
from overt.evaluation.video.tap import Heard, Probe, Seen
from overt.evaluation.video.truth import CLEAR, TrueFace, Truth
from overt.messages import Alert

_STEADY = 3
"""Frames in a row from which a track belongs to somebody else: one frame may be a matter of overlapping boxes."""


@dataclass(slots=True)
class _Gathered:
    """What belongs to one pass."""

    first_us: int | None = None
    visible: int = 0
    widths: dict[int, float] = field(default_factory=dict)
    detected: int = 0
    tracks: set[str] = field(default_factory=set)
    switches: int = 0
    crops: list[Probe] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)

    def show(self, seen: Seen, face: TrueFace) -> None:
        """The face is visible in a frame; its width is the true one where the truth tells it, else as detected."""
        self.visible += 1
        if self.first_us is None:
            self.first_us = seen.captured_at_us
        if face.xyxy is not None:
            self.widths[seen.frame_seq] = face.xyxy[2] - face.xyxy[0]


@dataclass(frozen=True, slots=True)
class Joined:
    """All passes of a stretch, and what belongs to nobody."""

    passes: tuple[PassRecord, ...]
    ghosts: int
    ghost_alerts: int


class Joiner:
    """Brings one stretch together. `enrolled` says how many templates of each person are on the list."""

    def __init__(
        self,
        truth: Truth,
        subjects: Subjects,
        confirming: Confirming,
        *,
        enrolled: Mapping[str, int],
        realtime: bool,
        stretch: int,
    ) -> None:
        self._truth = truth
        self._subjects = subjects
        self._confirming = confirming
        self._enrolled = enrolled
        self._realtime = realtime
        self._stretch = stretch

    def join(self, passers: Sequence[Passer], composed: Sequence[bool], heard: Heard) -> Joined:
        """`composed` tells of each passer whether they were in the scene at all."""
        gathered = {passer.number: _Gathered() for passer in passers}
        owner_of, owners_of_track = self._gather_seen(gathered, heard)
        for crop in heard.crops:
            if (whose := owner_of.get((crop.frame_seq, crop.face_index))) is not None:
                gathered[whose].crops.append(crop)
        for probe in heard.probes:
            if (whose := owner_of.get((probe.frame_seq, probe.face_index))) is not None:
                gathered[whose].probes.append(probe)
        ghost_alerts = 0
        for alert in heard.alerts:
            if (whose := owner_of.get((alert.frame_seq, alert.face_index))) is not None:
                gathered[whose].alerts.append(alert)
            else:
                ghost_alerts += 1
        failures = {closed.track_id: closed.failure for closed in heard.passes}
        ghosts = sum(closed.track_id not in owners_of_track for closed in heard.passes)
        passes = tuple(
            self._record(passer, gathered[passer.number], failures if there else None)
            for passer, there in zip(passers, composed, strict=True)
        )
        return Joined(passes, ghosts, ghost_alerts)

    def _gather_seen(
        self, gathered: Mapping[int, _Gathered], heard: Heard
    ) -> tuple[dict[tuple[int, int], int], set[str]]:
        """Whose face each detection is, and which tracks are anybody's."""
        owner_of: dict[tuple[int, int], int] = {}
        course: dict[str, list[int]] = {}
        for seen in heard.seen:
            faces = self._truth.faces_at(seen.frame_seq, seen.captured_at_us)
            for face in faces:
                if face.clear >= CLEAR:
                    gathered[face.passer].show(seen, face)
            for index, whose in enumerate(self._truth.owners(faces, seen.boxes)):
                if whose is None:
                    continue
                owner_of[seen.frame_seq, index] = whose
                one, box = gathered[whose], seen.boxes[index]
                one.detected += 1
                one.first_us = seen.captured_at_us if one.first_us is None else one.first_us
                one.widths.setdefault(seen.frame_seq, box[2] - box[0])
                if (track := seen.tracks[index]) is not None:
                    course.setdefault(track, []).append(whose)
        for track, owners in course.items():
            self._note_course(gathered, track, owners)
        return owner_of, set(course)

    def _note_course(self, gathered: Mapping[int, _Gathered], track: str, owners: Sequence[int]) -> None:
        """A track belongs to whoever has it for a few frames in a row; with the next one it has switched."""
        settled: int | None = None
        run, last = 0, -1
        for whose in owners:
            run, last = (run + 1 if whose == last else 1), whose
            if run == min(_STEADY, len(owners)) and whose != settled:
                gathered[whose].switches += settled is not None
                gathered[whose].tracks.add(track)
                settled = whose
        if settled is None:
            gathered[Counter(owners).most_common(1)[0][0]].tracks.add(track)

    def _record(self, passer: Passer, one: _Gathered, failures: Mapping[str, object] | None) -> PassRecord:
        own = self._subjects.column(passer.person) if passer.listed else None
        by_rule = scores(one.crops, one.probes, self._subjects, self._confirming, passer.number)
        crops = sorted(one.crops, key=lambda crop: crop.captured_at_us)
        return PassRecord(
            number=passer.number,
            person=passer.person,
            listed=passer.listed,
            image=passer.sample.image,
            stretch=self._stretch,
            enrolled=self._enrolled.get(passer.person, 0) if passer.listed else 0,
            visible_frames=one.visible,
            largest_px=round(max(one.widths.values(), default=0.0), 1),
            detected_frames=one.detected,
            tracks=len(one.tracks),
            switches=one.switches,
            failure=None if one.crops else _why(one, failures),
            crops=tuple(self._crop(crop, one, passer, own) for crop in crops),
            embeddings=len(one.probes),
            scores={rule: _scored(each, own, listed=passer.listed) for rule, each in by_rule.items()},
            alerts=tuple(self._alert(alert, one, passer) for alert in one.alerts),
        )

    def _crop(self, crop: Probe, one: _Gathered, passer: Passer, own: int | None) -> CropRecord:
        scored = _scored(self._subjects.similarities([crop.vector])[0], own, listed=passer.listed)
        return CropRecord(
            at_s=self._since(one, crop.captured_at_us),
            face_px=round(one.widths.get(crop.frame_seq, 0.0), 1),
            quality=round(crop.quality, 4),
            mate=scored.mate,
            other=scored.other,
        )

    def _alert(self, alert: Alert, one: _Gathered, passer: Passer) -> AlertRecord:
        latency_s = (alert.alerted_at_us - alert.captured_at_us) / 1e6 if self._realtime else None
        return AlertRecord(
            subject=alert.subject_id,
            right=passer.listed and alert.subject_id == passer.person,
            similarity=round(alert.similarity, 5),
            at_s=self._since(one, alert.captured_at_us),
            latency_s=latency_s,
        )

    def _since(self, one: _Gathered, at_us: int) -> float:
        return round((at_us - one.first_us) / 1e6, 3) if one.first_us is not None else 0.0


def _scored(each: Scores, own: int | None, *, listed: bool) -> Scored:
    """A listed person who is not on the list, since no image of theirs gave a template, has nothing for a score."""
    others = each if own is None else [value for column, value in enumerate(each) if column != own]
    other = round(float(max(others, default=NOTHING)), 5)
    if not listed:
        return Scored(None, other)
    return Scored(NOTHING if own is None else round(float(each[own]), 5), other)


def _why(one: _Gathered, failures: Mapping[str, object] | None) -> str:
    if failures is None:
        return NOT_COMPOSED
    if not one.detected:
        return UNSEEN
    ended = [failures[track] for track in one.tracks if track in failures]
    if not ended:
        return UNTRACKED
    said = [str(failure) for failure in ended if failure is not None]
    return said[0] if said else TAKEN
