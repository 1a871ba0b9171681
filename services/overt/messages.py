"""The vocabulary: one frozen dataclass for each record that travels. `schemas/*.avsc` says the same to the world.

Times are microseconds since the Unix epoch, UTC (`*_us`). Boxes are in pixels of the camera's whole image, before the
zone was cut out. A *cause* is what a record comes from: (source_epoch, frame_seq) for a frame, with face_index for a
face. Identities are made from causes (`overt.identity`), so that a replay repeats and never invents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from overt.picture import Picture

Vector = NDArray[np.float32]
Cause = tuple[int, int, int]
"""(source_epoch, frame_seq, face_index), ordered. A frame's own cause has face_index -1: it comes before its faces."""


class Kind(StrEnum):
    """What a category is for. The two stay apart: own thresholds, validity and wording."""

    WANTED = "wanted"
    MISSING = "missing"


class Verdict(StrEnum):
    """A person's judgement of an alert."""

    TRUE = "true"
    FALSE = "false"
    UNSURE = "unsure"


class Authority(StrEnum):
    """Whether the deployment that raised an alert carries a valid signature."""

    UNSIGNED = "UNSIGNED"
    SIGNED = "SIGNED"


class AuditAction(StrEnum):
    """What was done to a watchlist, or to a site."""

    LIST_PUBLISHED = "watchlist_published"
    LIST_DESTROYED = "watchlist_destroyed"
    ENTRY_ADDED = "watchlist_entry_added"
    ENTRY_UPDATED = "watchlist_entry_updated"
    ENTRY_REMOVED = "watchlist_entry_removed"
    SITE_PAUSED = "site_paused"
    SITE_RESUMED = "site_resumed"


class AcquisitionFailure(StrEnum):
    """Why a pass gave no usable template (ISO/IEC 19795-1: failure to acquire)."""

    TOO_SMALL = "too_small"
    TOO_POOR = "too_poor"
    TOO_BRIEF = "too_brief"


class FactKind(StrEnum):
    """What the statistics count."""

    PASS = "pass"  # noqa: S105  # a passer-by, not a password
    MATCH = "match"
    ALERT = "alert"
    ADJUDICATION = "adjudication"


class StatsWindow(StrEnum):
    """How much time a count covers. Minutes and quarters of an hour begin on the clock's, in UTC."""

    MINUTE = "minute"
    QUARTER_HOUR = "quarter_hour"
    DEPLOYMENT = "deployment"


class GuardState(StrEnum):
    """Whether a site may capture."""

    OPEN = "open"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the camera's image: left, top, right, bottom; right and bottom excluded."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        return self.y2 - self.y1


@dataclass(frozen=True, slots=True)
class Frame:
    """The authorised zone's rectangle of one camera image. The last one of a source has no image and `end` set."""

    camera_id: str
    source_epoch: int
    frame_seq: int
    captured_at_us: int
    deadline_us: int | None
    left: int
    top: int
    image_width: int
    image_height: int
    image: Picture | None
    end: bool = False

    @property
    def key(self) -> str:
        return self.camera_id

    @property
    def cause(self) -> Cause:
        return (self.source_epoch, self.frame_seq, -1)


@dataclass(frozen=True, slots=True)
class Face:
    """A face worth an embedding: aligned crop for the model, thumbnail for a person, context with others blurred."""

    camera_id: str
    source_epoch: int
    frame_seq: int
    face_index: int
    captured_at_us: int
    track_id: str
    box: Box
    landmarks: Vector = field(repr=False)
    """float32 [10]: x, y of right eye, left eye, nose, right and left mouth corner, in the camera's pixels."""
    detection_score: float
    quality: float
    crop: Picture
    thumbnail: Picture
    context: Picture | None

    @property
    def key(self) -> str:
        return self.camera_id

    @property
    def cause(self) -> Cause:
        return (self.source_epoch, self.frame_seq, self.face_index)


@dataclass(frozen=True, slots=True)
class Embedding:
    """A probe: the unit vector of one face in one model space; thumbnail and context carried on."""

    camera_id: str
    source_epoch: int
    frame_seq: int
    face_index: int
    captured_at_us: int
    track_id: str
    quality: float
    space_id: str
    vector: Vector = field(repr=False)  # it must never reach a log
    """float32 [D], L2 norm 1."""
    thumbnail: Picture
    context: Picture | None

    @property
    def key(self) -> str:
        return self.camera_id

    @property
    def cause(self) -> Cause:
        return (self.source_epoch, self.frame_seq, self.face_index)


@dataclass(frozen=True, slots=True)
class Match:
    """A probe whose first candidate reaches its category's threshold. Only these leave the matcher."""

    camera_id: str
    source_epoch: int
    frame_seq: int
    face_index: int
    captured_at_us: int
    track_id: str
    subject_id: str
    entry_id: str
    category: str
    kind: Kind
    similarity: float
    """Cosine similarity, -1 to 1."""
    threshold: float
    margin: float | None
    """Similarity minus that of the second subject; null when the watchlist holds one subject."""
    space_id: str
    quality: float
    thumbnail: Picture
    context: Picture | None

    @property
    def key(self) -> str:
        return self.camera_id

    @property
    def cause(self) -> Cause:
        return (self.source_epoch, self.frame_seq, self.face_index)


@dataclass(frozen=True, slots=True)
class Alert:
    """A possible match for a person to judge. It holds no name, and no software acts on it."""

    alert_id: str
    deployment_id: str
    site_id: str
    camera_id: str
    zone: str
    source_epoch: int
    frame_seq: int
    face_index: int
    track_id: str
    captured_at_us: int
    alerted_at_us: int
    subject_id: str
    entry_id: str
    category: str
    kind: Kind
    similarity: float
    threshold: float
    margin: float | None
    space_id: str
    confirmations: int
    authority: Authority
    probe_image: Picture
    context: Picture | None

    @property
    def key(self) -> str:
        return self.deployment_id

    @property
    def cause(self) -> Cause:
        return (self.source_epoch, self.frame_seq, self.face_index)


@dataclass(frozen=True, slots=True)
class Pass:
    """One passer-by, closed: the denominator of every rate. It holds no biometric."""

    track_id: str
    camera_id: str
    source_epoch: int
    frame_seq: int
    first_seen_us: int
    last_seen_us: int
    frames: int
    """Frames in which the face was detected."""
    crops: int
    """Crops that were sent on for an embedding."""
    failure: AcquisitionFailure | None

    @property
    def key(self) -> str:
        return self.camera_id


@dataclass(frozen=True, slots=True)
class WatchlistEntry:
    """One image of one subject on the watchlist of one deployment."""

    entry_id: str
    deployment_id: str
    subject_id: str
    category: str
    kind: Kind
    basis: str
    valid_from_us: int
    valid_until_us: int
    space_id: str
    enrolled_at_us: int
    vector: Vector = field(repr=False)  # it must never reach a log
    """float32 [D], L2 norm 1."""
    reference_image: Picture
    image_source: str = ""
    """Where the image is from, in words."""
    image_date: str | None = None
    """When it was taken, as `2024-05-31`; None where nobody knows."""
    reviewer: str = ""
    """Who checked that the entry is right and still needed."""
    under_18: bool = False
    decision_id: str | None = None
    """The recorded decision behind the entry. Under 18 there is no entry without one."""
    notes: str = field(default="", repr=False)
    """What an operator should know; no name."""
    revision: int = 0
    """Grows with each change of the entry. A matcher that knows a later one passes over an earlier one."""

    @property
    def key(self) -> str:
        return self.entry_id


@dataclass(frozen=True, slots=True)
class Adjudication:
    """A person's judgement of an alert; later, what came of it."""

    adjudication_id: str
    alert_id: str
    deployment_id: str
    verdict: Verdict
    by: str
    adjudicated_at_us: int
    took_ms: int | None
    note: str | None = None
    outcome: str | None = None

    @property
    def key(self) -> str:
        return self.alert_id


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened once, as the statistics count it. It says nothing of what anybody looks like, and not who
    was matched."""

    fact_id: str
    """The same for the same happening, however often it is told."""
    deployment_id: str
    fact: FactKind
    at_us: int
    """Capture time; of an adjudication, when it was made."""
    camera_id: str | None = None
    """None for an adjudication: its alert has one."""
    category: str | None = None
    kind: Kind | None = None
    failure: AcquisitionFailure | None = None
    alert_id: str | None = None
    verdict: Verdict | None = None

    @property
    def key(self) -> str:
        return self.fact_id


@dataclass(frozen=True, slots=True)
class CategoryCounts:
    """What was counted of one watchlist category in a window."""

    category: str
    kind: Kind
    matches: int
    alerts: int
    judged_true: int
    judged_false: int
    judged_unsure: int


@dataclass(frozen=True, slots=True)
class SiteStats:
    """What was counted in one window, for one camera or the whole site. Of several with one `window_id` that with the
    highest `revision` counts, and of these the last on the topic."""

    window_id: str
    deployment_id: str
    site_id: str
    camera_id: str | None
    """None: the whole site."""
    window: StatsWindow
    start_us: int
    end_us: int
    passes: int
    failures_to_acquire: int
    matches: int
    alerts: int
    judged_true: int
    judged_false: int
    judged_unsure: int
    categories: tuple[CategoryCounts, ...]
    revision: int

    @property
    def key(self) -> str:
        return self.window_id


@dataclass(frozen=True, slots=True)
class SiteGuard:
    """Whether the site of a deployment may capture. The last one on the topic holds."""

    deployment_id: str
    site_id: str
    state: GuardState
    at_us: int
    actor: str
    reason: str
    weighed_until_us: int
    """Capture time up to which passes and alerts were weighed; what came before is not weighed again."""
    passes: int
    """Passes that were weighed when the site was paused."""
    false_alerts: int

    @property
    def key(self) -> str:
        return self.deployment_id


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Something that was done by a person, or by the guard, and must be accounted for. It holds no biometric."""

    event_id: str
    deployment_id: str
    at_us: int
    actor: str
    """Who did it."""
    action: AuditAction
    reason: str
    """Why, in the actor's words."""
    subject_id: str | None = None
    entry_id: str | None = None

    @property
    def key(self) -> str:
        return self.deployment_id


Message = (
    Frame
    | Face
    | Embedding
    | Match
    | Alert
    | Pass
    | WatchlistEntry
    | Adjudication
    | AuditEvent
    | Fact
    | SiteStats
    | SiteGuard
)

TOPIC_OF: dict[type[Message], str] = {
    Frame: "frames",
    Face: "faces",
    Embedding: "embeddings",
    Match: "matches",
    Alert: "alerts",
    Pass: "passes",
    WatchlistEntry: "watchlist",
    Adjudication: "adjudications",
    AuditEvent: "audit",
    Fact: "counted",
    SiteStats: "site-stats",
    SiteGuard: "guard",
}
"""The topic on which each record travels, without the deployment's prefix."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One face in one frame as the tracker saw it. It stays in the process that asked for it, to draw and to blur."""

    box: Box
    track_id: str | None
    """None for a detection that belongs to no track: it is blurred all the same."""


@dataclass(frozen=True, slots=True)
class Sightings:
    """All faces of one frame, with the frame: what an annotated video is drawn from. It never travels on a bus."""

    frame: Frame
    faces: tuple[Sighting, ...] = field(default_factory=tuple)

    @property
    def key(self) -> str:
        return self.frame.camera_id
