"""Following a frame through the services: which batch is being worked on, and what its outputs carry along.

The context travels as W3C Trace Context (`traceparent`) in the headers of Kafka's records. A trace tells when and where
a record was worked on, and of which camera it is; never who or what is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol
from urllib.parse import urlsplit

from overt.messages import Frame
from overt.ports import Reason, Record
from overt.runtime.secret_files import SecretFileError, check_certificates
from overt.runtime.settings import Settings, SettingsError

Headers = Mapping[str, str]


class Trail(Protocol):
    """A batch under way: one span for each of its items."""

    def headers(self, origin: Callable[[], int]) -> Headers | None:
        """What a record carries that comes of the item `origin()`, an index in the batch. Only a batch that is followed
        asks for it."""
        ...

    def rejected(self, index: int, reason: Reason) -> None:
        """An item ends here."""
        ...


class Tracing(Protocol):
    """Where spans are begun. They end with the block; one that ends with an exception tells its type, and no more."""

    def sending(self, topic: str, frames: Sequence[Frame], *, realtime: bool) -> AbstractContextManager[Trail]:
        """Frames begin a trace each. realtime: it begins when the frame was captured, else when it is sent."""
        ...

    def working(self, service: str, records: Sequence[Record]) -> AbstractContextManager[Trail]:
        """A service goes on with each record's trace."""
        ...

    def close(self) -> None:
        """Sends what is left, and gives up after two seconds."""
        ...


class _Nothing:
    """Neither trail nor tracing: where nobody asked for traces."""

    @contextmanager
    def sending(self, _topic: str, _frames: Sequence[Frame], *, realtime: bool) -> Iterator[Trail]:  # noqa: ARG002
        yield self

    @contextmanager
    def working(self, _service: str, _records: Sequence[Record]) -> Iterator[Trail]:
        yield self

    def headers(self, _origin: Callable[[], int]) -> None:
        return None

    def rejected(self, _index: int, _reason: Reason) -> None:
        """Nobody wants to know."""

    def close(self) -> None:
        """There is nothing to send."""


NO_TRACING: Tracing = _Nothing()


def open_tracing(settings: Settings, service: str) -> Tracing:
    """To the collector that is configured, if any. Raises SettingsError."""
    if settings.otlp_endpoint is None:
        return NO_TRACING
    _check_address(settings.otlp_endpoint)
    ca_file = settings.otlp_ca_file
    try:
        ca_file = None if ca_file is None else check_certificates(ca_file)
    except SecretFileError as error:
        raise SettingsError(f"OVERT_OTLP_CA_FILE: {error}") from None
    try:
        from overt.runtime.otlp import OtlpTracing  # an extra, needed only here
    except ImportError as error:
        raise SettingsError(
            f"OVERT_OTLP_ENDPOINT: OpenTelemetry is not whole here ({error.name} is missing); "
            "install the extra: overt[tracing]"
        ) from error
    return OtlpTracing(service, settings.otlp_endpoint, share=settings.trace_share, ca_file=ca_file)


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        right = False
    if not right:
        raise SettingsError("OVERT_OTLP_ENDPOINT: expected http://host:port/v1/traces")
