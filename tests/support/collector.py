"""An OpenTelemetry collector: takes OTLP over HTTP, and tells the spans it was sent."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.webhook_receiver import Letter, Receiver, Reply


@dataclass(frozen=True)
class SeenSpan:
    """A span as it arrived. Ids are hexadecimal, times nanoseconds since the Unix epoch."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    begun_ns: int
    ended_ns: int
    attributes: Mapping[str, str | int]
    error: str
    """Empty where it ended well."""


class Collector(Receiver):
    """`with Collector() as collector: ... collector.spans()`. It may be stopped and started again."""

    def __init__(self) -> None:
        super().__init__(lambda *_: Reply(200, {"Content-Type": "application/x-protobuf"}))

    def spans(self) -> list[SeenSpan]:
        """Everything so far, in the order in which spans ended within each letter."""
        return [span for letter in list(self.letters) for span in _spans_of(letter)]


def _spans_of(letter: Letter) -> list[SeenSpan]:
    assert letter.headers["content-type"] == "application/x-protobuf"
    body = gzip.decompress(letter.body) if letter.headers.get("content-encoding") == "gzip" else letter.body
    request = ExportTraceServiceRequest.FromString(body)
    return [
        SeenSpan(
            service=str(_values(resource.resource.attributes)["service.name"]),
            name=span.name,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            begun_ns=span.start_time_unix_nano,
            ended_ns=span.end_time_unix_nano,
            attributes=_values(span.attributes),
            error=(span.status.message or "error") if span.status.code == span.status.STATUS_CODE_ERROR else "",
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _values(attributes: Any) -> Mapping[str, str | int]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}
