"""The deployment that an evaluation runs: a deployment's own recognition, before a scene of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from overt.demo.walk import ZONE
from overt.governance.deployment import Deployment, Models, Recognition
from overt.governance.watchlists import SubjectsBy

CAMERA = "walk-past"
CATEGORY = "evaluated"
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Operating:
    """What of a deployment decides on a pass. None: as a deployment file has it that does not say.
    `like`: take all of it from that deployment and its first category."""

    detector: str | None = None
    embedder: str | None = None
    min_face_px: int = 32
    crops_per_track: int = 4
    threshold: float | None = None
    strong_threshold: float | None = None
    confirmations: int = 2
    like: Deployment | None = None


def deployment_for(
    operating: Operating,
    *,
    source: str,
    watchlist: str,
    subjects: SubjectsBy = SubjectsBy.SUBFOLDER,
    whole: bool = False,
    realtime: bool = False,
) -> Deployment:
    """The deployment. `whole`: its zone is that of `like`'s first camera, else the whole picture.

    Off real time it has the same window, and so the same ids, in every run.

    Its cool-down is 0: that a subject alerts only once a minute would hide false alerts of people who follow each
    other here much closer than in a street.
    """
    like = operating.like
    zone: Sequence[tuple[float, float]] = ZONE
    if whole:
        zone = like.cameras[0].zone.polygon if like else _WHOLE
    begin = datetime.now(UTC) - timedelta(minutes=1) if realtime else _BEGIN
    said = Deployment.model_validate(
        {
            "deployment": "evaluation",
            "purpose": "Measure how well passes are recognised, on labelled material",
            "site": {"id": "evaluation", "place": "This machine", "reason": "An evaluation"},
            "authority": {"officer": "Whoever started it", "reason": "An evaluation; no operational use"},
            "window": {"start": begin.isoformat(), "end": (begin + timedelta(hours=24)).isoformat()},
            "cameras": [{"id": CAMERA, "source": source, "partition": 0, "zone": {"id": "zone", "polygon": zone}}],
            "watchlist": {"source": watchlist, "subjects": subjects, "categories": [_category(operating)]},
        }
    )
    recognition = Recognition(min_face_px=operating.min_face_px, crops_per_track=operating.crops_per_track)
    update: dict[str, object] = {"models": _models(operating)}
    if like is not None:
        recognition = like.recognition
        update |= {"realtime": like.realtime, "context": like.context}
    return said.model_copy(update=update | {"recognition": recognition.model_copy(update={"cooldown_s": 0.0})})


def _category(operating: Operating) -> dict[str, object]:
    named = ("confirmations", "threshold", "strong_threshold", "within_s")
    like = operating.like.watchlist.categories[0] if operating.like else operating
    rules = {name: getattr(like, name) for name in named if hasattr(like, name)}
    return {"id": CATEGORY, "kind": "wanted", "basis": "An evaluation", **rules}


def _models(operating: Operating) -> Models:
    models = operating.like.models if operating.like else Models()
    named = {"detector": operating.detector, "embedder": operating.embedder}
    return models.model_copy(update={role: name for role, name in named.items() if name is not None})
