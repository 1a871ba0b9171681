"""What a report tells of a run: values that somebody has counted, nothing that is worked out while it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from overt.governance.deployment import Deployment
from overt.messages import AcquisitionFailure, Alert, Kind
from overt.picture import Picture


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model that was used, as its card says."""

    role: str
    name: str
    version: str
    licence: str
    sha256: str
    space_id: str | None = None
    """The space of its vectors; None for a detector."""


@dataclass(frozen=True, slots=True)
class ThresholdFacts:
    """What was asked of a match in one category."""

    category: str
    kind: Kind
    match: float
    strong: float
    confirmations: int
    within_s: float
    origin: str
    """Where the numbers come from: `deployment file` or `model card`."""


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """What was counted for one camera."""

    camera_id: str
    frames_read: int
    frames_dropped: int
    """Frames that the camera delivered and that nobody took up, because a newer one was there."""
    frames_shed: int
    """Frames that were taken up and given up since they were past their deadline."""
    passes: int
    """Passers-by: tracks that have ended."""
    failures: Mapping[AcquisitionFailure, int] = field(default_factory=dict)
    """Of them, those who gave no usable template, by reason."""
    compared: int = 0
    """Crops that were compared with the watchlist."""


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """An alert, with the image on the list that it was raised for."""

    alert: Alert
    reference: Picture | None
    rarity: str | None = None
    """How rare its similarity is among strangers, in words; None where no certificate tells."""


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """One run."""

    deployment: Deployment
    overt_version: str
    started_at_us: int
    """When the run started and ended, by this machine's clock."""
    ended_at_us: int
    realtime: bool
    models: Sequence[ModelFacts]
    thresholds: Sequence[ThresholdFacts]
    watchlist_subjects: int
    watchlist_images: int
    watchlist_refused: int
    """Images of the watchlist's folder that were not enrolled."""
    cameras: Sequence[CameraFacts]
    alerts: Sequence[AlertFacts]
    look_ups: str = ""
    """How probes were compared with the watchlist, and the share of people that this finds."""
    rejects: Mapping[str, int] = field(default_factory=dict)
    """Records that a stage could not process, by reason."""
    images: bool = False
    """Whether the report shows people who raised an alert. Without it the report holds no picture of anyone."""
    videos: Sequence[str] = ()
    """File names of annotated videos in the report's folder; shown only with `images`."""
    remarks: Sequence[str] = ()
    """Sentences that a reader must know, such as that a scene was composed."""
