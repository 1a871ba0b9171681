"""What the alerter remembers of a camera: evidence of open tracks, and cool-downs. Plain values, no biometric."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one track has shown for one subject."""

    subject_id: str
    best_similarity: float
    seen_at_us: tuple[int, ...]
    """Capture times of the distinct faces that matched, newest last."""


@dataclass(frozen=True, slots=True)
class TrackEvidence:
    """One passer-by. After its alert a track raises no other: it alerts for its best subject only."""

    track_id: str
    last_us: int
    settled: bool
    subjects: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Cooldown:
    """The last alert for a subject at this camera, in capture time."""

    subject_id: str
    alert_id: str
    captured_at_us: int


@dataclass(frozen=True, slots=True)
class AlerterState:
    """All that the alerter knows of one camera."""

    tracks: tuple[TrackEvidence, ...] = ()
    cooldowns: tuple[Cooldown, ...] = ()

    def track(self, track_id: str) -> TrackEvidence:
        """The track's evidence, empty for a new one."""
        return next((t for t in self.tracks if t.track_id == track_id), TrackEvidence(track_id, 0, False, ()))

    def with_track(self, track: TrackEvidence) -> AlerterState:
        """This state with a track replaced or added."""
        return replace(self, tracks=(*(t for t in self.tracks if t.track_id != track.track_id), track))

    def cooldown(self, subject_id: str) -> Cooldown | None:
        """The subject's last alert here."""
        return next((c for c in self.cooldowns if c.subject_id == subject_id), None)

    def with_cooldown(self, cooldown: Cooldown) -> AlerterState:
        """This state with a subject's cool-down, in place of any that it knows."""
        return replace(self, cooldowns=(*(c for c in self.cooldowns if c.subject_id != cooldown.subject_id), cooldown))

    def without_before(self, tracks_us: int, cooldowns_us: int) -> AlerterState:
        """This state without what ended before the given capture times."""
        return AlerterState(
            tuple(t for t in self.tracks if t.last_us >= tracks_us),
            tuple(c for c in self.cooldowns if c.captured_at_us >= cooldowns_us),
        )
