"""The alerter: confirms a match over its track and raises at most one alert for a subject, camera and cool-down.

A match is confirmed by one strong similarity, or by `confirmations` distinct faces of its track that match the same
subject within `within_us` of capture time. The cool-down is compared in capture time and remembers the alert's id, so
that a replay emits that alert again instead of swallowing it. Capture time is a camera's clock: one that is set back
leaves cool-downs in the future, and those silence nobody for longer than a cool-down either.

Refused on purpose: any action on a person, and following a subject from one camera to another. An alert asks a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from overt.alerter.state import AlerterState, Cooldown, Evidence, TrackEvidence
from overt.identity import alert_id
from overt.messages import Alert, Authority, Match
from overt.ports import Reason, Reject

_TRACK_US = 120_000_000
"""Evidence of a track is kept for two minutes of capture time after its last match, and longer where a category lets
confirmations take longer."""


@dataclass(frozen=True, slots=True)
class ConfirmationRule:
    """When the matches of a category become an alert."""

    strong_threshold: float
    """One match at or above it suffices."""
    confirmations: int
    within_us: int


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a camera looks, for the alert's reader."""

    site_id: str
    zone: str


class AlerterStage:
    """See `overt.ports.StatefulStage`. `alerted_at_us` is left 0: whoever has a clock stamps it."""

    def __init__(
        self,
        deployment_id: str,
        scenes: Mapping[str, Scene],
        rules: Mapping[str, ConfirmationRule],
        *,
        cooldown_us: int,
        authority: Authority,
    ) -> None:
        self._deployment_id = deployment_id
        self._scenes = scenes
        self._rules = rules
        self._cooldown_us = cooldown_us
        self._authority = authority
        self.track_us = max([_TRACK_US, *(rule.within_us for rule in rules.values())])
        """How long a track is remembered after its last match, in capture time."""

    def fresh(self, key: str, /) -> AlerterState:
        del key
        return AlerterState()

    def step(self, state: AlerterState, batch: Sequence[Match], /) -> tuple[AlerterState, Iterable[Alert | Reject]]:
        results: list[Alert | Reject] = []
        for index, match in enumerate(batch):
            rule = self._rules.get(match.category)
            scene = self._scenes.get(match.camera_id)
            if rule is None or scene is None:
                results.append(Reject(index, Reason.UNKNOWN_CAMERA if scene is None else Reason.UNKNOWN_CATEGORY))
                continue
            state, alert = self._consider(state, match, rule, scene)
            if alert is not None:
                results.append(alert)
        return state, results

    def _consider(
        self, state: AlerterState, match: Match, rule: ConfirmationRule, scene: Scene
    ) -> tuple[AlerterState, Alert | None]:
        at = match.captured_at_us
        state = state.without_before(at - self.track_us, at - self._cooldown_us)
        track, evidence = _add(state.track(match.track_id), match, rule.within_us)
        confirmed = match.similarity >= rule.strong_threshold or len(evidence.seen_at_us) >= rule.confirmations
        best = evidence.best_similarity >= max(e.best_similarity for e in track.subjects)
        if track.settled or not confirmed or not best:
            return state.with_track(track), None
        state = state.with_track(replace(track, settled=True))
        identity = alert_id(self._deployment_id, match.camera_id, match.subject_id, match.track_id)
        last = state.cooldown(match.subject_id)
        if last is None or last.alert_id != identity:
            if last is not None and abs(at - last.captured_at_us) < self._cooldown_us:
                return state, None  # the same person, seen again too soon: their track stays settled
            state = state.with_cooldown(Cooldown(match.subject_id, identity, at))
        return state, self._alert(match, scene, identity, len(evidence.seen_at_us))

    def _alert(self, match: Match, scene: Scene, identity: str, confirmations: int) -> Alert:
        return Alert(
            alert_id=identity,
            deployment_id=self._deployment_id,
            site_id=scene.site_id,
            camera_id=match.camera_id,
            zone=scene.zone,
            source_epoch=match.source_epoch,
            frame_seq=match.frame_seq,
            face_index=match.face_index,
            track_id=match.track_id,
            captured_at_us=match.captured_at_us,
            alerted_at_us=0,
            subject_id=match.subject_id,
            entry_id=match.entry_id,
            category=match.category,
            kind=match.kind,
            similarity=match.similarity,
            threshold=match.threshold,
            margin=match.margin,
            space_id=match.space_id,
            confirmations=confirmations,
            authority=self._authority,
            probe_image=match.thumbnail,
            context=match.context,
        )


def _add(track: TrackEvidence, match: Match, within_us: int) -> tuple[TrackEvidence, Evidence]:
    """The track with one more face of the match's subject; faces older than the window no longer confirm."""
    known = next((e for e in track.subjects if e.subject_id == match.subject_id), None)
    seen = known.seen_at_us if known else ()
    best = known.best_similarity if known else -1.0
    recent = tuple(t for t in seen if t > match.captured_at_us - within_us)
    evidence = Evidence(match.subject_id, max(best, match.similarity), (*recent, match.captured_at_us))
    others = tuple(e for e in track.subjects if e.subject_id != match.subject_id)
    last = max(track.last_us, match.captured_at_us)
    return TrackEvidence(track.track_id, last, track.settled, (*others, evidence)), evidence
