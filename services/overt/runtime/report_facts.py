"""Gathers what a report tells: from the metrics, the models' cards, the enrolment and the alerts of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from overt import __version__
from overt.messages import AcquisitionFailure, Alert
from overt.models.card import DetectorCard, EmbedderCard
from overt.output.facts import AlertFacts, CameraFacts, ModelFacts, ReportFacts, ThresholdFacts
from overt.runtime.frame.rules import CameraSummary
from overt.runtime.metrics import Metrics
from overt.runtime.watchlist.enrolment import Enrolment
from overt.runtime.wiring import Wiring
from overt.runtime.world import now_us


def gather(
    wiring: Wiring,
    enrolment: Enrolment,
    alerts: Sequence[Alert],
    *,
    began_us: int,
    realtime: bool,
    images: bool,
    videos: Sequence[str],
    remarks: Sequence[str],
    rarity: Callable[[float], str | None] = lambda _: None,
) -> ReportFacts:
    """The facts of a run that has ended. rarity: how rare a similarity is among strangers, in words."""
    deployment = wiring.deployment
    references = {entry.entry_id: entry.reference_image for entry in enrolment.entries}
    return ReportFacts(
        deployment=deployment,
        overt_version=__version__,
        started_at_us=began_us,
        ended_at_us=now_us(),
        realtime=realtime,
        models=[_model(card) for card in (wiring.models.detector, wiring.models.embedder)],
        thresholds=_thresholds(wiring),
        watchlist_subjects=enrolment.subjects,
        watchlist_images=len(enrolment.entries),
        watchlist_refused=len(enrolment.refused),
        cameras=[_camera(wiring.metrics, camera.camera_id) for camera in deployment.cameras],
        alerts=[AlertFacts(alert, references.get(alert.entry_id), rarity(alert.similarity)) for alert in alerts],
        rejects=_by_label(wiring.metrics, "overt_rejects_total", "reason"),
        look_ups=look_ups(wiring.metrics),
        images=images,
        videos=videos,
        remarks=remarks,
    )


def unread(cameras: Mapping[str, CameraSummary]) -> Iterator[str]:
    """Sentences about cameras that could not be read."""
    for camera_id, camera in cameras.items():
        if camera.failure is not None:
            yield f"Camera {camera_id} could not be read: {camera.failure}."


def damaged(metrics: Metrics, cameras: Mapping[str, CameraSummary]) -> Iterator[str]:
    """Sentences about cameras of which a part could not be read."""
    for camera_id, camera in cameras.items():
        faulty = round(metrics.total("overt_camera_faults_total", camera=camera_id))
        if camera.damage is not None:
            yield f"Camera {camera_id} could be read in part only: {camera.damage}."
        if faulty:
            yield f"Camera {camera_id}: {faulty} damaged picture{'s' if faulty > 1 else ''} left out."


def look_ups(metrics: Metrics) -> str:
    """How probes were compared with the list, as it was at the end."""
    ef = round(metrics.total("overt_gallery_ef"))
    if not ef:
        return "every probe was compared with every entry"
    recall, lower = (metrics.total("overt_gallery_recall", bound=bound) for bound in ("measured", "lower95"))
    return (
        f"with an HNSW index (ef {ef}): of people whom comparing every entry finds it finds {recall:.4f},"
        f" at least {lower:.4f} with 95 % confidence, measured with degraded copies of the entries"
    )


def _model(card: DetectorCard | EmbedderCard) -> ModelFacts:
    space = card.space_id if isinstance(card, EmbedderCard) else None
    return ModelFacts(card.role, card.name, card.version, card.licence, card.onnx.sha256, space)


def _thresholds(wiring: Wiring) -> list[ThresholdFacts]:
    facts = []
    for category in wiring.deployment.watchlist.categories:
        thresholds = wiring.models.thresholds(category)
        origin = "model card" if category.threshold is None else "deployment file"
        facts.append(
            ThresholdFacts(
                category.category_id,
                category.kind,
                thresholds.match,
                thresholds.strong,
                category.confirmations,
                category.within_s,
                origin,
            )
        )
    return facts


def _camera(metrics: Metrics, camera_id: str) -> CameraFacts:
    def count(name: str, **labels: str) -> int:
        return round(metrics.total(name, camera=camera_id, **labels))

    return CameraFacts(
        camera_id=camera_id,
        frames_read=count("overt_frames_read_total"),
        frames_dropped=count("overt_frames_dropped_total"),
        frames_shed=count("overt_frames_shed_total"),
        passes=count("overt_passes_total"),
        failures={r: count("overt_failures_to_acquire_total", reason=r.value) for r in AcquisitionFailure},
        compared=count("overt_embeddings_total"),
    )


def _by_label(metrics: Metrics, name: str, label: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            if sample.name == name:
                found[sample.labels[label]] = found.get(sample.labels[label], 0) + round(sample.value)
    return found
