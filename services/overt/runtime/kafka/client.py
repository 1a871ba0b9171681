"""What all Kafka clients of Overt share: settings, records, and how trouble is told.

A client connects and starts threads when it is constructed, so nothing here or beside it constructs one before somebody
subscribes, produces, reads or applies.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, KafkaError, KafkaException, Message

from overt.ports import Record
from overt.runtime.kafka.properties import COMMON, RESERVED

log = logging.getLogger("overt.kafka")
_librdkafka_log = logging.getLogger("overt.kafka.librdkafka")

C = TypeVar("C")

_NO_LEADER_YET = frozenset({KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE})

_MISSING = frozenset({"_UNKNOWN_PARTITION", "_UNKNOWN_TOPIC", "UNKNOWN_TOPIC_OR_PART"})

REQUEST_TIMEOUT_S = 5.0
"""How long one question to the cluster (metadata, offsets) may take before it counts as away."""


class KafkaConfigError(ValueError):
    """A property is unknown, has a wrong value or is reserved. The text names it."""


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where the cluster is and how to speak to it. `extra` goes to librdkafka as it is: TLS, SASL, tuning."""

    bootstrap: str
    client_id: str = "overt"
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold a password

    def __post_init__(self) -> None:
        refused = sorted(RESERVED & self.extra.keys())
        if refused:
            raise KafkaConfigError(f"Kafka property {refused[0]!r} cannot be set: the bus's promises rest on it")


class Trouble:
    """What a client reported last, logged once a minute for each kind: librdkafka repeats it many times a second."""

    _REPEAT_S = 60.0
    _LATELY_S = 30.0

    def __init__(self, who: str) -> None:
        self._who = who
        self._logged: dict[str, float] = {}
        self._last = ""
        self._last_at = float("-inf")

    def heard(self, error: KafkaError) -> None:
        """Takes an error of the client or of a message. Texts of librdkafka hold addresses and states, no content."""
        now = time.monotonic()
        self._last, self._last_at = error.str(), now
        if now - self._logged.get(error.name(), -self._REPEAT_S) >= self._REPEAT_S:
            self._logged[error.name()] = now
            log.warning("%s: %s", self._who, error.str())

    def because(self) -> str:
        """The end of a sentence: what was heard last, if it was lately."""
        return f" ({self._last})" if time.monotonic() - self._last_at < self._LATELY_S else ""


def make(kind: Callable[..., C], settings: KafkaSettings, trouble: Trouble, conf: Mapping[str, Any]) -> C:
    """Constructs a client: common properties, those of its role, the user's. Raises KafkaConfigError."""
    _librdkafka_log.addFilter(_not_repeated)
    whole = {
        **COMMON,
        **conf,
        **settings.extra,
        "bootstrap.servers": settings.bootstrap,
        "client.id": settings.client_id,
        "error_cb": trouble.heard,
    }
    try:
        return kind(whole, logger=_librdkafka_log)
    except KafkaException as error:
        raise KafkaConfigError(f"Kafka client for {settings.bootstrap}: {reason(error)}") from error


def _not_repeated(line: logging.LogRecord) -> bool:
    """False for what `Trouble` says better: each failed connection, once a second and broker."""
    return not (isinstance(line.args, tuple) and line.args and line.args[0] in ("FAIL", "ERROR"))


def reason(error: KafkaException) -> str:
    """The client's own words for an exception."""
    first = error.args[0] if error.args else None
    return first.str() if isinstance(first, KafkaError) else str(first)


def code(error: KafkaException) -> int:
    """The KafkaError code of an exception."""
    first = error.args[0] if error.args else None
    return first.code() if isinstance(first, KafkaError) else KafkaError._FAIL


def hint(name: str) -> str:
    """What to do about an error, by its name, where there is something."""
    if name in _MISSING:
        return " (it does not exist: `overt topics apply` makes topics and partitions)"
    if name == "MSG_SIZE_TOO_LARGE":
        return " (the topic accepts less than Overt sends: `overt topics apply` sets max.message.bytes)"
    if name.endswith("AUTHORIZATION_FAILED"):
        return " (this user may not: `overt topics acls` says who may, and with --apply gives the rights)"
    return ""


def ask(question: Callable[[], C]) -> C:
    """The answer to a question with a timeout of its own; asked again while a partition has no leader yet, as just
    after a topic was made or a broker came back. Raises KafkaException."""
    deadline = time.monotonic() + REQUEST_TIMEOUT_S
    while True:
        try:
            return question()
        except KafkaException as error:
            if code(error) not in _NO_LEADER_YET or time.monotonic() >= deadline:
                raise
            time.sleep(0.05)


def to_record(message: Message) -> Record:
    """A message without an error. The time is the broker's (LogAppendTime); bytes that are no UTF-8 are replaced."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    kind, timestamp_ms = message.timestamp()
    headers = message.headers() or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        key=_text(message.key()),
        value=message.value(),
        timestamp_us=0 if kind == TIMESTAMP_NOT_AVAILABLE else timestamp_ms * 1000,
        headers={name: _text(value) for name, value in pairs},
    )


def _text(raw: bytes | str | None) -> str:
    if raw is None:
        return ""
    return raw if isinstance(raw, str) else raw.decode("utf-8", "replace")
