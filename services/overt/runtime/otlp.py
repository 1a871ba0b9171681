"""Spans by OpenTelemetry, sent to a collector with OTLP over HTTP.

Names and attributes follow OpenTelemetry's semantic conventions for messaging and for Kafka. Attributes are written
here and nowhere else: topic, partition, offset, size of the batch, camera, reason of a reject.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from overt import __version__
from overt.messages import Frame
from overt.ports import Reason, Record

_log = logging.getLogger(__name__)

_ATTEMPT_S = 2.0
_CLOSE_S = 2.0
_W3C = TraceContextTextMapPropagator()  # and no baggage: that could hold anything


class OtlpTracing:
    """Sends spans from a thread of its own, in batches; what the collector does not take is lost and nobody waits.

    share: of the frames that are followed, from 0 to 1; the services after the first do as it did. exporter: another
    than OTLP's.
    """

    def __init__(
        self,
        service: str,
        endpoint: str,
        *,
        share: float,
        ca_file: Path | None = None,
        exporter: SpanExporter | None = None,
    ) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it repeats itself; `Telling` says it once
        exporter = exporter or OTLPSpanExporter(
            endpoint,
            certificate_file=None if ca_file is None else str(ca_file),
            timeout=_ATTEMPT_S,
            compression=Compression.Gzip,
        )
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(share)),
            resource=Resource.create(
                {
                    "service.name": f"overt-{service}",
                    "service.namespace": "overt",
                    "service.version": __version__,
                    "service.instance.id": str(uuid.uuid4()),
                }
            ),
            shutdown_on_exit=False,  # `close` does it, and does not wait for ever
        )
        self._provider.add_span_processor(BatchSpanProcessor(Telling(exporter)))
        self._tracer = self._provider.get_tracer("overt", __version__)

    @contextmanager
    def sending(self, topic: str, frames: Sequence[Frame], *, realtime: bool) -> Iterator[_Spans]:
        """See `overt.runtime.tracing.Tracing`."""
        now_ns = time.time_ns()
        spans = [
            self._tracer.start_span(
                f"send {topic}",
                kind=SpanKind.PRODUCER,
                attributes={
                    "messaging.system": "kafka",
                    "messaging.operation.name": "send",
                    "messaging.operation.type": "send",
                    "messaging.destination.name": topic,
                    "overt.camera_id": frame.camera_id,
                },
                start_time=min(frame.captured_at_us * 1000, now_ns) if realtime else now_ns,
            )
            for frame in frames
        ]
        with _ending(spans) as trail:
            yield trail

    @contextmanager
    def working(self, service: str, records: Sequence[Record]) -> Iterator[_Spans]:
        """See `overt.runtime.tracing.Tracing`."""
        with _ending([_taken_up(self._tracer, service, record, len(records)) for record in records]) as trail:
            yield trail

    def close(self) -> None:
        """See `overt.runtime.tracing.Tracing`."""
        closing = threading.Thread(target=self._provider.shutdown, name="close-tracing", daemon=True)
        closing.start()
        closing.join(_CLOSE_S)


class _Spans:
    """See `overt.runtime.tracing.Trail`."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans

    def headers(self, origin: Callable[[], int]) -> Mapping[str, str]:
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, set_span_in_context(self._spans[origin()]))
        return carrier

    def rejected(self, index: int, reason: Reason) -> None:
        self._spans[index].set_status(Status(StatusCode.ERROR, reason.value))


def _taken_up(tracer: Tracer, service: str, record: Record, at_once: int) -> Span:
    return tracer.start_span(
        f"process {record.topic}",
        context=_W3C.extract(record.headers),
        kind=SpanKind.CONSUMER,
        attributes={
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": record.topic,
            "messaging.destination.partition.id": str(record.partition),
            "messaging.kafka.offset": record.offset,
            "messaging.batch.message_count": at_once,
            "overt.service": service,
        },
    )


@contextmanager
def _ending(spans: Sequence[Span]) -> Iterator[_Spans]:
    try:
        yield _Spans(spans)
    except Exception as error:
        for span in spans:  # never the exception's text: it may quote values
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        raise
    finally:
        for span in spans:
            span.end()


class Telling(SpanExporter):
    """An exporter that says when the collector goes away and when it is back, once each."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        away = result is not SpanExportResult.SUCCESS
        if away and not self._away:
            _log.warning("tracing: the collector takes no spans; they are lost until it does")
        elif self._away and not away:
            _log.info("tracing: the collector takes spans again")
        self._away = away
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()
