"""How outputs speak of an alert: a candidate for a person to judge, never somebody found."""

from __future__ import annotations

from datetime import UTC, datetime

from overt.messages import Alert, Kind

KIND = {Kind.WANTED: "wanted, possible match", Kind.MISSING: "missing, possible match"}
"""Both are candidates. A missing person is not found until a person says so."""


def iso(at_us: int) -> str:
    """A time as ISO 8601 in UTC with milliseconds, as `2026-05-14T09:00:01.500Z`."""
    when = datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{when}.{at_us // 1000 % 1000:03d}Z"


def moment(at_us: int) -> str:
    """A time for people, as `2026-05-14 09:00:01 UTC`."""
    return f"{datetime.fromtimestamp(at_us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def clock(at_us: int) -> str:
    """The time of day in UTC with a tenth of a second, as `09:00:01.5`."""
    return f"{datetime.fromtimestamp(at_us // 1_000_000, UTC):%H:%M:%S}.{at_us // 100_000 % 10}"


def label(alert: Alert) -> tuple[str, str, str]:
    """Three lines that stand beside a face: who it may be, of what kind and category, and on what ground."""
    return (
        f"candidate {alert.subject_id}",
        f"{alert.kind.value}: {alert.category}",
        f"similarity {alert.similarity:.3f}, threshold {alert.threshold:.3f}",
    )
