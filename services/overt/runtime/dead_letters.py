"""A dead letter has no value: its headers say where the record lies that a service could not process, and why."""

from __future__ import annotations

from collections.abc import Mapping

from overt.ports import Reason, Record

HEADERS = {
    "stage": "The service that could not process the record.",
    "reason": "Why, of a closed list.",
    "topic": "Where the record lies.",
    "partition": "Its partition, in decimal digits.",
    "offset": "Its offset, in decimal digits.",
}
"""What each says, for who reads them."""


def headers_of(service: str, reason: Reason, record: Record) -> Mapping[str, str]:
    """The headers of a record's dead letter."""
    values = (service, reason.value, record.topic, str(record.partition), str(record.offset))
    return dict(zip(HEADERS, values, strict=True))
