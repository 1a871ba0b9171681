"""A rule over a series that is absent never fires: what may go wrong stands at 0 from the start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import overt
from overt.governance.deployment import Deployment
from overt.ports import Reason
from overt.runtime.metrics import Metrics
from overt.runtime.series import REFUSED, begin_at_zero
from overt.runtime.wiring import STAGES
from tests.support import embedded, runs


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return embedded.parsed(runs.deployment([runs.camera("c1", tmp_path / "a.avi")], tmp_path, closes_in_s=3600))


def series(metrics: Metrics) -> dict[str, set[tuple[str, ...]]]:
    """Names of samples with the label values that they have."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).add(tuple(sample.labels.values()))
    return found


@pytest.mark.parametrize("service", STAGES)
def test_every_reason_of_a_dead_letter_stands_at_0_from_the_start(service: str, deployment: Deployment) -> None:
    metrics = Metrics()
    begin_at_zero(metrics, service, deployment)
    assert series(metrics)["overt_rejects_total"] == {(service, reason.value) for reason in Reason}
    assert metrics.total("overt_rejects_total") == 0


@pytest.mark.parametrize(
    ("service", "there"),
    [
        ("frame", "overt_frames_read_total"),
        ("frame", "overt_frames_dropped_total"),
        ("frame", "overt_camera_up"),
        ("frame", "overt_camera_faults_total"),
        ("detector", "overt_frames_shed_total"),
        ("detector", "overt_failures_to_acquire_total"),
        ("detector", "overt_face_quality_count"),
        ("embedder", "overt_embeddings_total"),
        ("matcher", "overt_matches_total"),
        ("matcher", "overt_match_similarity_count"),
        ("alerter", "overt_alerts_total"),
    ],
)
def test_a_service_begins_its_own_series_and_no_other_does(service: str, there: str, deployment: Deployment) -> None:
    for one in ("frame", *STAGES):
        metrics = Metrics()
        begin_at_zero(metrics, one, deployment)
        assert (there in series(metrics)) == (one == service)


def test_a_camera_that_nobody_reads_is_told_to_be_down(deployment: Deployment) -> None:
    metrics = Metrics()
    begin_at_zero(metrics, "frame", deployment)
    assert metrics.registry.get_sample_value("overt_camera_up", {"camera": "c1"}) == 0


def test_what_is_measured_and_not_counted_stays_absent_until_it_is_known(deployment: Deployment) -> None:
    metrics = Metrics()
    for service in ("frame", *STAGES):
        begin_at_zero(metrics, service, deployment)
    assert {"overt_clock_skew_seconds", "overt_gallery_lookup_seconds", "overt_disk_free_bytes"}.isdisjoint(
        series(metrics)
    )


def test_the_window_is_told_in_seconds_of_the_unix_epoch(deployment: Deployment) -> None:
    metrics = Metrics()
    begin_at_zero(metrics, "matcher", deployment)
    assert metrics.total("overt_deployment_end_timestamp_seconds") == deployment.window.end_us / 1e6
    assert metrics.total("overt_deployment_start_timestamp_seconds") == deployment.window.start_us / 1e6


def test_every_reason_to_refuse_a_watchlist_record_begins_at_0() -> None:
    source = (Path(overt.__file__).parent / "runtime" / "watchlist" / "following.py").read_text("utf-8")
    said = re.findall(r'_refuse\([^"]*?, "(\w+)"', source)
    assert set(said) == set(REFUSED)
    assert len(said) >= len(REFUSED)
