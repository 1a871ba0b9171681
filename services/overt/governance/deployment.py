"""The deployment: the root object that says who may look, for what, where, when, for whom, and how long what is kept.

Written by operations as `deployment.yaml`; `overt.governance.loading` reads it. Every service starts from it.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, Strict, ValidationInfo, field_validator, model_validator

from overt.governance.cameras import Camera
from overt.governance.crosschecks import crosschecks
from overt.governance.fields import Flag, Instant, ModelName, Number, Part, Slug, Text, Whole, microseconds, refuse
from overt.governance.watchlists import Category, Watchlist
from overt.messages import Authority as Signature

FINGERPRINT = "sha256:"
"""What the fingerprint of a key begins with, and no file's name does."""


class Site(Part):
    """Where, and why there."""

    site_id: Slug = Field(alias="id", description="Name of the site; it labels alerts.", examples=["high-street"])
    place: Text = Field(
        description="The place in words that the public would understand.", examples=["High Street, by the station"]
    )
    reason: Text = Field(
        description="What links the people on the watchlist to this place.",
        examples=["Both robberies happened here; the people wanted live nearby"],
    )


class Authorisation(Part):
    """Who authorised this, and why. It is a statement: nothing is signed yet, and every output says UNSIGNED."""

    officer: Text = Field(description="The authorising officer.", examples=["Superintendent A. Example"])
    reason: Text = Field(description="Why it is necessary and proportionate.", examples=["Decision 2026/041"])


class Window(Part):
    """From when to when. Outside it nothing is captured."""

    start: Instant = Field(
        description="First moment, with its offset from UTC.", examples=["2026-05-14T10:00:00+01:00"]
    )
    end: Instant = Field(
        description="Moment at which everything stops, with its offset from UTC.",
        examples=["2026-05-14T16:00:00+01:00"],
    )

    @property
    def start_us(self) -> int:
        """Microseconds since the Unix epoch."""
        return microseconds(self.start)

    @property
    def end_us(self) -> int:
        """Microseconds since the Unix epoch."""
        return microseconds(self.end)


class Models(Part):
    """The models by their names in the registry."""

    detector: ModelName = Field(default="centerface", description="Model that finds faces.")
    embedder: ModelName = Field(default="dlib-resnet-v1", description="Model that compares faces.")


class Recognition(Part):
    """How faces become alerts."""

    min_face_px: Whole = Field(
        default=32, ge=8, le=1000, description="Smallest face that is compared: the shorter side of its box, in pixels."
    )
    detection_threshold: Number | None = Field(
        default=None, ge=0, le=1, description="Score from which a detection counts; without it, the model's own."
    )
    crops_per_track: Whole = Field(
        default=4,
        ge=1,
        le=50,
        description="Most crops of one walk-past that are compared: the first and better ones. Of who stays, eight"
        " more in the first minute and four for each later one.",
    )
    fuse_tracks: Flag = Field(
        default=False,
        description="Whether the crops of one passer-by are fused into one probe instead of being compared each by"
        " itself. Measured: more false alerts at the same thresholds.",
    )
    cooldown_s: Number = Field(
        default=60.0,
        ge=0,
        le=86400,
        description="Seconds of capture time in which a subject alerts only once on a camera.",
    )


class Realtime(Part):
    """What is given up first when there is too much to do."""

    max_delay_s: Number = Field(
        default=2.0, gt=0, le=600, description="Age in seconds past which a frame is shed and counted instead of read."
    )
    skip_unchanged: Flag = Field(
        default=True,
        description="Whether frames that show nothing new are not sent on; two and more a second always are.",
    )


class Retention(Part):
    """How long what is kept. Faces that raise no alert are never kept."""

    alerts_hours: Number = Field(
        default=24.0,
        gt=0,
        le=744,
        description="Hours until alert images cannot be opened any more; 744 (31 days) at most.",
    )
    passes_days: Number = Field(
        default=31.0, gt=0, le=366, description="Days that the counts of passers-by are kept; they hold no biometric."
    )
    adjudications_days: Number = Field(
        default=31.0,
        gt=0,
        le=366,
        description="Days that people's judgements of alerts, and the audit of what they did, are kept.",
    )
    decision: Text | None = Field(
        default=None, description="Decision that allows alert images to be kept for more than 24 hours."
    )


class Guard(Part):
    """When a site pauses by itself: a sequential test of the false alerts among those who pass (docs/statistics.md)."""

    false_alert_ceiling: Number = Field(
        default=0.001, gt=0, le=0.1, description="Most false alerts for each passer-by that are borne; 1 in 1,000."
    )
    detectable: Number = Field(
        default=2.0, gt=1, le=5, description="How many times that rate must be found out with the chance 1 - beta."
    )
    alpha: Number = Field(
        default=0.05, gt=0, lt=0.5, description="Chance to pause a site that is at its ceiling, in one run of the test."
    )
    beta: Number = Field(
        default=0.1, gt=0, lt=0.5, description="Chance to miss one that is worse by `detectable`, in one run."
    )


class Notice(Part):
    """How the public was told."""

    published_at: Instant = Field(
        description="When the notice was published, with offset from UTC.", examples=["2026-05-12T09:00:00+01:00"]
    )
    place: Text = Field(
        description="Where the notice and the signs are.", examples=["Website; signs at both ends of the street"]
    )


class Assessments(Part):
    """Ids of the assessments behind the deployment."""

    data_protection: Text | None = Field(default=None, description="Data protection impact assessment.")
    appropriate_policy: Text | None = Field(default=None, description="Appropriate policy document.")
    equality: Text | None = Field(default=None, description="Equality impact assessment, with its evidence of testing.")
    fundamental_rights: Text | None = Field(default=None, description="Fundamental rights impact assessment.")
    registration: Text | None = Field(default=None, description="Registration of the system or of its use.")


class Deployment(Part):
    """A whole deployment file."""

    deployment_id: Slug = Field(
        alias="deployment", description="Name of this deployment.", examples=["high-street-2026-05-14"]
    )
    purpose: Text = Field(description="What it is for, in a sentence.", examples=["Find two people wanted for robbery"])
    site: Site = Field(description="Where, and why there.")
    authority: Authorisation = Field(description="Who authorised it, and why.")
    window: Window = Field(description="From when to when; outside it nothing is captured.")
    cameras: tuple[Camera, ...] = Field(min_length=1, max_length=1000, description="The cameras.")
    watchlist: Watchlist = Field(description="The people looked for.")
    models: Models = Field(default_factory=Models, description="The models by name.")
    recognition: Recognition = Field(default_factory=Recognition, description="How faces become alerts.")
    realtime: Realtime = Field(default_factory=Realtime, description="What is given up first under load.")
    retention: Retention = Field(default_factory=Retention, description="How long what is kept.")
    guard: Guard = Field(default_factory=Guard, description="When a site pauses by itself.")
    context: Flag = Field(
        default=False, description="Whether an alert carries the scene, with everybody else in it blurred."
    )
    certificate: Annotated[str, Strict(), Field(min_length=1)] | None = Field(
        default=None,
        description="File of the certificate that says how well these models recognise at these thresholds, relative to"
        " this file.",
        examples=["certificate.json"],
    )
    certificate_key: Annotated[str, Strict(), Field(min_length=1)] | None = Field(
        default=None,
        description="Who must have signed it: a public key's file, relative to this file, or its fingerprint.",
        examples=["sha256:4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"],
    )
    require_certificate: Flag = Field(
        default=False,
        description="Whether nothing starts without a certificate that fits; else that is only warned of.",
    )
    notice: Notice | None = Field(default=None, description="How the public was told.")
    assessments: Assessments = Field(default_factory=Assessments, description="Ids of the assessments.")

    @field_validator("certificate", "certificate_key")
    @classmethod
    def _relative_to_the_file(cls, path: str | None, info: ValidationInfo) -> str | None:
        base = (info.context or {}).get("base")
        return path if path is None or base is None or path.startswith(FINGERPRINT) else str(Path(base, path))

    @model_validator(mode="after")
    def _parts_agree(self) -> Deployment:
        findings = crosschecks(self.model_dump(by_alias=True))
        if findings:
            raise refuse("; ".join(f"{'.'.join(map(str, at))}: {message}" for at, message in findings))
        return self

    @property
    def signature(self) -> Signature:
        """UNSIGNED until deployments are signed."""
        return Signature.UNSIGNED

    def camera(self, camera_id: str) -> Camera:
        """The camera of this name. Raises KeyError."""
        for camera in self.cameras:
            if camera.camera_id == camera_id:
                return camera
        raise KeyError(camera_id)

    def category(self, category_id: str) -> Category:
        """The category of this name. Raises KeyError."""
        for category in self.watchlist.categories:
            if category.category_id == category_id:
                return category
        raise KeyError(category_id)

    def started_at_us(self, camera_id: str) -> int:
        """Capture time of a file's first frame in a run off real time: its own, or the window's start."""
        started_at = self.camera(camera_id).started_at
        return self.window.start_us if started_at is None else microseconds(started_at)


class WindowState(StrEnum):
    """Where a moment lies relative to the window."""

    BEFORE = "before"
    OPEN = "open"
    AFTER = "after"


def window_state(deployment: Deployment, now_us: int) -> WindowState:
    """Where `now_us` lies. The start belongs to the window, the end does not."""
    if now_us < deployment.window.start_us:
        return WindowState.BEFORE
    return WindowState.OPEN if now_us < deployment.window.end_us else WindowState.AFTER
