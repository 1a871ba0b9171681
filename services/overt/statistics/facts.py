"""From records to facts: of what happened only what is counted, each with an identity made from its cause.

The functions take a record's plain fields, as an Avro reader gives them; what is sealed in them is left alone. None:
it belongs to another deployment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from overt.messages import AcquisitionFailure, Fact, FactKind, Kind, Verdict

Plain = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which records are a deployment's own. Passes and matches name no deployment: theirs is the one that has the
    camera and in whose window they were captured. A recording's own time may lie anywhere after its start."""

    deployment_id: str
    window_us: tuple[int, int]
    """First moment, and the first after it."""
    cameras: Mapping[str, int | None] = field(default_factory=dict)
    """By camera, when its recording starts; None for one that is live or begins with the window."""

    def holds(self, camera_id: str, at_us: int) -> bool:
        """Whether something that this camera captured then belongs to the deployment."""
        if camera_id not in self.cameras:
            return False
        started_us = self.cameras[camera_id]
        return self.window_us[0] <= at_us < self.window_us[1] if started_us is None else at_us >= started_us


def of_pass(scope: Scope, plain: Plain) -> Fact | None:
    """A passer-by, at the moment of the first face: a track's id is made from that face, so the moment is the same."""
    camera, at_us = plain["camera_id"], plain["first_seen_us"]
    if not scope.holds(camera, at_us):
        return None
    failure = plain["failure"]
    return Fact(
        fact_id=f"pass/{plain['track_id']}",
        deployment_id=scope.deployment_id,
        fact=FactKind.PASS,
        at_us=at_us,
        camera_id=camera,
        failure=None if failure is None else AcquisitionFailure(failure),
    )


def of_match(scope: Scope, plain: Plain) -> Fact | None:
    """A probe at or above a threshold. A face has one probe and a probe one match, so its cause is its identity."""
    camera, at_us = plain["camera_id"], plain["captured_at_us"]
    if not scope.holds(camera, at_us):
        return None
    cause = f"{camera}/{plain['source_epoch']}/{plain['frame_seq']}/{plain['face_index']}"
    return Fact(
        fact_id=f"match/{scope.deployment_id}/{cause}",
        deployment_id=scope.deployment_id,
        fact=FactKind.MATCH,
        at_us=at_us,
        camera_id=camera,
        category=plain["category"],
        kind=Kind(plain["kind"]),
    )


def of_alert(scope: Scope, plain: Plain) -> Fact | None:
    """An alert, at the capture time of the face that confirmed it."""
    if plain["deployment_id"] != scope.deployment_id:
        return None
    return Fact(
        fact_id=f"alert/{plain['alert_id']}",
        deployment_id=scope.deployment_id,
        fact=FactKind.ALERT,
        at_us=plain["captured_at_us"],
        camera_id=plain["camera_id"],
        category=plain["category"],
        kind=Kind(plain["kind"]),
        alert_id=plain["alert_id"],
    )


def of_adjudication(scope: Scope, plain: Plain) -> Fact | None:
    """A judgement. Neither who judged nor their note is kept."""
    if plain["deployment_id"] != scope.deployment_id:
        return None
    return Fact(
        fact_id=f"adjudication/{plain['adjudication_id']}",
        deployment_id=scope.deployment_id,
        fact=FactKind.ADJUDICATION,
        at_us=plain["adjudicated_at_us"],
        alert_id=plain["alert_id"],
        verdict=Verdict(plain["verdict"]),
    )


SOURCES: Mapping[str, tuple[str, Callable[[Scope, Plain], Fact | None]]] = {
    "passes": ("Pass", of_pass),
    "matches": ("Match", of_match),
    "alerts": ("Alert", of_alert),
    "adjudications": ("Adjudication", of_adjudication),
}
"""By topic: the record on it, and how it becomes a fact."""
