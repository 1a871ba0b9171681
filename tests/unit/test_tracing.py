"""A trace leads from a frame to what came of it, says nothing of what is in it, and never holds up the work."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

from overt.messages import Frame
from overt.ports import Record, Reject, Unavailable
from overt.runtime.otlp import OtlpTracing, Telling
from overt.runtime.settings import Settings, SettingsError
from overt.runtime.tracing import NO_TRACING, open_tracing
from tests.support.collector import Collector
from tests.support.flow import Flow, frame, seen
from tests.support.ports import free_port

KNOWN = {
    "messaging.system",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.destination.name",
    "messaging.destination.partition.id",
    "messaging.kafka.offset",
    "messaging.batch.message_count",
    "overt.camera_id",
    "overt.service",
}
"""All that a span may tell."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def tracing_to(collector: Collector, service: str = "detector", share: float = 1.0) -> OtlpTracing:
    return OtlpTracing(service, collector.url, share=share)


def told(record: Record) -> str:
    """The span that a record names as its parent."""
    version, _, span_id, _ = record.headers["traceparent"].split("-")
    assert version == "00"
    return span_id


def test_what_comes_of_a_record_goes_on_with_its_own_trace(collector: Collector) -> None:
    frames, detector = tracing_to(collector, "frame"), tracing_to(collector)
    flow = Flow(seen, detector, frames)
    flow.send(frame(1), frame(2, "c2"), frame(3))
    assert flow.worker.turn() == 3
    frames.close()
    detector.close()
    spans = {span.span_id: span for span in collector.spans()}
    assert len(spans) == 6
    sent = {record.value.cause: spans[told(record)] for record in flow.records("frames")}
    for record in flow.records("embeddings"):
        span = spans[told(record)]
        origin = sent[(*record.value.cause[:2], -1)]
        assert (span.service, span.name) == ("overt-detector", "process frames")
        assert (span.parent_id, span.trace_id) == (origin.span_id, origin.trace_id)
        assert origin.attributes["overt.camera_id"] == record.value.camera_id
        assert origin.parent_id == ""
        assert span.begun_ns <= span.ended_ns
    assert len({span.trace_id for span in spans.values()}) == 3
    assert {name for span in spans.values() for name in span.attributes} == KNOWN


def test_who_asks_for_no_traces_gets_no_header() -> None:
    flow = Flow(seen, NO_TRACING, NO_TRACING)
    flow.send(frame(1))
    flow.worker.turn()
    assert [dict(r.headers) for topic in ("frames", "embeddings") for r in flow.records(topic)] == [{}, {}]


def test_of_frames_that_are_not_followed_no_service_sends_a_span(collector: Collector) -> None:
    frames, detector = tracing_to(collector, "frame", share=0.0), tracing_to(collector)
    flow = Flow(seen, detector, frames)
    flow.send(frame(1))
    flow.worker.turn()
    frames.close()
    detector.close()
    assert collector.spans() == []
    flags = flow.records("embeddings")[0].headers["traceparent"][-2:]
    assert int(flags, 16) & 1 == 0, "the flag `sampled` is set"


@pytest.mark.parametrize("written", ["", "00-nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "ÿ" * 900])
def test_a_header_that_is_none_begins_a_new_trace(collector: Collector, written: str) -> None:
    detector = tracing_to(collector)
    flow = Flow(seen, detector, NO_TRACING)
    flow.bus.sink().produce("frames", key="c1", value=frame(1), partition=0, headers={"traceparent": written})
    assert flow.worker.turn() == 1
    detector.close()
    assert [span.parent_id for span in collector.spans()] == [""]


def test_a_reject_ends_its_span_with_the_reason(collector: Collector) -> None:
    def picky(batch: Sequence[Frame]) -> Iterable[Any]:
        for item in batch:
            if item.frame_seq == 2:
                raise ValueError("the vector was 0.25, 0.75")
        return seen(batch)

    detector = tracing_to(collector)
    flow = Flow(picky, detector, NO_TRACING)
    flow.send(frame(1), frame(2), frame(3))
    flow.worker.turn()
    detector.close()
    assert [span.error for span in collector.spans()] == ["", "failed", ""]
    assert all(b"0.75" not in letter.body for letter in collector.letters)


def test_a_batch_that_is_put_back_ends_its_spans_by_type_and_comes_again_in_the_same_trace(
    collector: Collector,
) -> None:
    away = [Unavailable("Redis at geheim is away")]

    def shaky(batch: Sequence[Frame]) -> Iterable[Any | Reject]:
        if away:
            raise away.pop()
        return seen(batch)

    frames, detector = tracing_to(collector, "frame"), tracing_to(collector)
    flow = Flow(shaky, detector, frames)
    flow.send(frame(1))
    assert [flow.worker.turn(), flow.worker.turn()] == [0, 1]
    frames.close()
    detector.close()
    worked = [span for span in collector.spans() if span.service == "overt-detector"]
    assert [span.error for span in worked] == ["Unavailable", ""]
    assert len({span.trace_id for span in collector.spans()}) == 1


def test_a_collector_that_is_away_costs_spans_and_nothing_else_and_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    exporter = OTLPSpanExporter(f"http://127.0.0.1:{free_port()}/v1/traces", timeout=0.2)
    detector = OtlpTracing("detector", "", share=1.0, exporter=exporter)
    flow = Flow(seen, detector, detector)
    for seq in range(1, 5000, 500):  # more than are kept
        flow.send(*(frame(seq + n) for n in range(500)))
        while flow.worker.turn():
            pass
    detector.close()
    assert len(flow.records("embeddings")) == 5000
    said = [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert [record.getMessage() for record in said] == [
        "tracing: the collector takes no spans; they are lost until it does"
    ]


def test_a_collector_that_is_back_is_told(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    collector.stop()
    exporter = Telling(OTLPSpanExporter(collector.url, timeout=0.2))
    exporter.export([])
    exporter.export([])
    collector.start()
    exporter.export([])
    exporter.export([])
    exporter.shutdown()
    assert [record.getMessage() for record in caplog.records if record.name == "overt.runtime.otlp"] == [
        "tracing: the collector takes no spans; they are lost until it does",
        "tracing: the collector takes spans again",
    ]


def test_a_collector_that_never_answers_does_not_hold_up_the_end() -> None:
    class Hanging(OTLPSpanExporter):
        def export(self, spans: Any) -> Any:
            threading.Event().wait()

    detector = OtlpTracing("detector", "", share=1.0, exporter=Hanging("http://127.0.0.1:1"))
    with detector.sending("frames", [frame(1)], realtime=False):
        pass
    detector.close()  # or the limit of this test is reached


def test_in_real_time_a_trace_begins_when_the_frame_was_captured(collector: Collector) -> None:
    tracing = tracing_to(collector, "frame")
    for realtime in (True, False):
        with tracing.sending("frames", [frame(7)], realtime=realtime):
            pass
    tracing.close()
    real, other = collector.spans()
    assert real.begun_ns == 7_000_000
    assert other.begun_ns > real.begun_ns


def test_an_extra_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "overt.runtime.otlp", None)
    with pytest.raises(SettingsError, match=r"^OVERT_OTLP_ENDPOINT: .*overt\[tracing\]"):
        open_tracing(Settings(otlp_endpoint="http://127.0.0.1:1/v1/traces"), "frame")


def test_an_authority_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.crt"
    with pytest.raises(SettingsError, match=r"^OVERT_OTLP_CA_FILE: .*missing\.crt"):
        open_tracing(Settings(otlp_endpoint="https://127.0.0.1:1/v1/traces", otlp_ca_file=missing), "frame")


@pytest.mark.parametrize("address", ["collector:4318", "ftp://user:geheim@collector/v1/traces", "http://"])
def test_an_address_that_is_none_is_refused_and_not_quoted(address: str) -> None:
    with pytest.raises(SettingsError, match=r"^OVERT_OTLP_ENDPOINT: expected http://host:port/v1/traces") as caught:
        open_tracing(Settings(otlp_endpoint=address), "frame")
    assert "geheim" not in str(caught.value)
