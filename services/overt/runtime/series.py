"""Series that begin at 0, so that the rate of what has not happened yet is 0 and not unknown.

Prometheus knows a labelled series only once it was written. A rule over one that is absent never fires, and a counter
that appears at 1 shows no increase: the first dead letter would be overlooked.
"""

from __future__ import annotations

from overt.frame.reader import Fault
from overt.governance.deployment import Deployment
from overt.messages import AcquisitionFailure
from overt.ports import Reason
from overt.runtime.frame.rules import Dropped
from overt.runtime.metrics import Metrics
from overt.runtime.webhook.answers import Outcome


def begin_at_zero(metrics: Metrics, service: str, deployment: Deployment) -> None:
    """Every series of a service whose labels the deployment file and the code close. What is measured and not counted,
    such as the difference of two clocks, stays absent until it is known."""
    metrics.deployment_start_seconds.set(deployment.window.start_us / 1e6)
    metrics.deployment_end_seconds.set(deployment.window.end_us / 1e6)
    _of_the_loop(metrics, service)
    for camera in deployment.cameras:
        _of_a_camera(metrics, service, camera.camera_id)
        for category in deployment.watchlist.categories:
            if service == "matcher":
                metrics.matches.labels(camera.camera_id, category.category_id, category.kind.value)
            if service == "alerter":
                metrics.alerts.labels(camera.camera_id, category.category_id, category.kind.value)
    if service == "matcher":
        for category in deployment.watchlist.categories:
            metrics.match_similarity.labels(category.category_id)
        for reason in REFUSED:
            metrics.watchlist_refused.labels(reason)
    if service == "webhook":
        for outcome in Outcome:
            metrics.webhook_attempts.labels(outcome.value)


REFUSED = (
    "removed",
    "late",
    "key_gone",
    "undecodable",
    "not_authentic",
    "other_deployment",
    "misplaced",
    "unusable",
)
"""Why a watchlist record could not enter the gallery (`overt.runtime.watchlist.following`)."""


def _of_the_loop(metrics: Metrics, service: str) -> None:
    for metric in (metrics.records, metrics.unavailable, metrics.ready):
        metric.labels(service)
    for histogram in (metrics.batch_seconds, metrics.batch_size, metrics.capture_to_stage_seconds):
        histogram.labels(service)
    if service == "frame":
        return
    for counter in (metrics.repeats, metrics.fenced):
        counter.labels(service)
    for reason in Reason:
        metrics.rejects.labels(service, reason.value)


def _of_a_camera(metrics: Metrics, service: str, camera_id: str) -> None:
    match service:
        case "frame":
            for metric in (
                metrics.frames_read,
                metrics.camera_up,
                metrics.camera_frozen,
                metrics.camera_reconnects,
            ):
                metric.labels(camera_id)
            for dropped in Dropped:
                metrics.frames_dropped.labels(camera_id, dropped.value)
            for fault in Fault:
                metrics.camera_faults.labels(camera_id, fault.value)
        case "detector":
            for counter in (metrics.frames_shed, metrics.faces, metrics.passes, metrics.tracks):
                counter.labels(camera_id)
            metrics.face_quality.labels(camera_id)
            for failure in AcquisitionFailure:
                metrics.failures_to_acquire.labels(camera_id, failure.value)
        case "embedder":
            metrics.embeddings.labels(camera_id)
        case _:
            pass
