"""Metrics are declared once, each with its reading, named as Prometheus does, and none can hold a person."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase

import overt
from overt.messages import AcquisitionFailure, Kind, Message
from overt.ports import Reason
from overt.runtime.metrics import Metrics
from tests.support import messages as make

LABELS = {
    "camera",
    "service",
    "reason",
    "category",
    "kind",
    "topic",
    "partition",
    "role",
    "model",
    "sha256",
    "space",
    "bound",
    "custody",
    "outcome",
    "place",
}
"""Each from a set that the deployment file, a model's card or the code closes: never a subject, track or entry."""


def declared() -> list[MetricWrapperBase]:
    return [m for m in vars(Metrics()).values() if isinstance(m, MetricWrapperBase)]


def families() -> list[Metric]:
    return list(Metrics().registry.collect())


def name_of(metric: MetricWrapperBase) -> str:
    return str(metric._name)


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize("metric", declared(), ids=name_of)
def test_every_metric_has_a_reading_that_is_a_sentence(metric: MetricWrapperBase) -> None:
    """What an operator should conclude: a capital or a figure, several words, a full stop."""
    reading = metric._documentation
    assert re.fullmatch(r"[A-Z0-9][^\n]*\.", reading), reading
    assert len(reading.split()) >= 3
    assert len(reading) <= 120


@pytest.mark.parametrize("metric", declared(), ids=name_of)
def test_no_label_could_hold_a_person(metric: MetricWrapperBase) -> None:
    assert set(metric._labelnames) <= LABELS


@pytest.mark.parametrize("family", families(), ids=lambda f: f.name)
def test_names_follow_prometheus(family: Metric) -> None:
    """https://prometheus.io/docs/practices/naming: a prefix, base units in plural, `_total` for counters only."""
    assert re.fullmatch(r"overt_[a-z][a-z0-9]*(_[a-z0-9]+)*", family.name)
    words = family.name.split("_")
    assert not {"ms", "us", "millis", "minutes", "hours", "kb", "mb", "percent", "second", "count"} & set(words)
    assert "total" not in words
    if "seconds" in words:
        assert words[-1] == "seconds"
    for sample in family.samples:
        assert sample.name.endswith("_total") <= (family.type == "counter")
    assert not family.name.endswith("_info") or family.type in ("gauge", "info")


def test_no_two_metrics_say_the_same_thing() -> None:
    readings = [m._documentation for m in declared()]
    assert len(set(readings)) == len(readings)
    assert len(declared()) == len(families())


@pytest.mark.parametrize("metric", [m for m in declared() if m._type == "histogram"], ids=name_of)
def test_buckets_rise_and_hold_what_the_promises_are_measured_by(metric: MetricWrapperBase) -> None:
    bounds = list(metric._kwargs["buckets"])
    assert bounds == sorted(set(bounds))
    if name_of(metric) == "overt_capture_to_alert_seconds":
        assert {1, 5} <= set(bounds)


def test_two_pipelines_in_one_process_do_not_mix() -> None:
    one, two = Metrics(), Metrics()
    one.faces.labels("c1").inc()
    assert value(one, "overt_faces_total", camera="c1") == 1
    assert value(two, "overt_faces_total", camera="c1") == 0


def counted(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every counter and histogram count that is not zero."""
    return {
        (s.name, tuple(s.labels.values())): s.value
        for f in metrics.registry.collect()
        for s in f.samples
        if s.name.endswith(("_total", "_count")) and s.value
    }


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (make.face(), {("overt_faces_total", ("c1",)): 1, ("overt_face_quality_count", ("c1",)): 1}),
        (make.embedding(), {("overt_embeddings_total", ("c1",)): 1}),
        (make.passing(failure=None), {("overt_passes_total", ("c1",)): 1}),
        (
            make.passing(failure=AcquisitionFailure.TOO_SMALL),
            {("overt_passes_total", ("c1",)): 1, ("overt_failures_to_acquire_total", ("c1", "too_small")): 1},
        ),
        (
            make.match(kind=Kind.MISSING),
            {
                ("overt_matches_total", ("c1", "suspects", "missing")): 1,
                ("overt_match_similarity_count", ("suspects",)): 1,
            },
        ),
        (
            make.alert(),
            {
                ("overt_alerts_total", ("c1", "suspects", "wanted")): 1,
                ("overt_capture_to_alert_seconds_count", ()): 1,
            },
        ),
        (make.frame(), {}),
        (make.entry(), {}),
        (make.adjudication(), {}),
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_a_stage_has_made_is_counted(message: Message, expected: dict[tuple[str, tuple[str, ...]], float]) -> None:
    metrics = Metrics()
    metrics.produced(message, 3_000_000)
    assert counted(metrics) == expected
    metrics.produced(message, 3_000_000)
    assert counted(metrics) == {key: 2 * number for key, number in expected.items()}


def test_nothing_of_a_person_reaches_the_page() -> None:
    """Whoever may scrape learns how many, never who."""
    metrics = Metrics()
    for message in make.one_of_each():
        metrics.produced(message, 3_000_000)
    labels = {v for f in metrics.registry.collect() for s in f.samples for v in s.labels.values()}
    assert not {"A", "A/1", "a1", "t1", "j1", "operator"} & labels


def test_latency_is_from_capture_and_never_negative() -> None:
    metrics = Metrics()
    metrics.produced(make.alert(captured_at_us=1_000_000), 1_750_000)
    assert value(metrics, "overt_capture_to_alert_seconds_sum") == pytest.approx(0.75)
    metrics.produced(make.alert(captured_at_us=9_000_000), 1_750_000)  # a camera whose clock is ahead
    assert value(metrics, "overt_capture_to_alert_seconds_sum") == pytest.approx(0.75)


def test_clock_skew_is_arrival_minus_capture_and_may_be_negative() -> None:
    metrics = Metrics()
    metrics.arrived(make.frame(captured_at_us=5_000_000), 5_250_000)
    assert value(metrics, "overt_clock_skew_seconds", camera="c1") == pytest.approx(0.25)
    metrics.arrived(make.frame(captured_at_us=5_000_000), 4_000_000)
    assert value(metrics, "overt_clock_skew_seconds", camera="c1") == pytest.approx(-1)


def test_every_similarity_of_a_match_has_a_bucket_of_two_hundredths() -> None:
    metrics = Metrics()
    metrics.produced(make.match(similarity=0.951), 0)
    assert value(metrics, "overt_match_similarity_bucket", category="suspects", le="0.94") == 0
    assert value(metrics, "overt_match_similarity_bucket", category="suspects", le="0.96") == 1


def test_every_metric_is_set_somewhere() -> None:
    """One that is declared and never set reads as 0, which means something."""
    text = "\n".join(path.read_text("utf-8") for path in sorted(Path(overt.__file__).parent.rglob("*.py")))
    names = [name for name, metric in vars(Metrics()).items() if isinstance(metric, MetricWrapperBase)]
    unset = [
        n
        for n in names
        if not re.search(rf"\.{n}(\.labels\([^\n]*\))?\.(inc|set|set_to_current_time|observe|info)\b", text)
    ]
    assert not unset
    assert len(names) > 30


def test_the_page_says_which_version_runs() -> None:
    assert value(Metrics(), "overt_build_info", version=overt.__version__) == 1


def test_of_a_recording_no_latency_is_told() -> None:
    metrics = Metrics()
    metrics.produced(make.alert(), None)
    assert counted(metrics) == {("overt_alerts_total", ("c1", "suspects", "wanted")): 1}


def test_reasons_are_a_closed_set() -> None:
    assert all(re.fullmatch(r"[a-z_]+", reason.value) for reason in Reason)
