"""What an endpoint answers, as far as it matters."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum


class Outcome(StrEnum):
    """What became of one attempt. Each is a value of the `outcome` label."""

    TAKEN = "taken"
    """2xx."""
    REFUSED = "refused"
    """400, 413, 415 or 422: it will never take these bytes."""
    NOT_NOW = "not_now"
    """Any other status, redirections among them: what is wrong may be mended, at either end."""
    NO_ANSWER = "no_answer"
    """No connection, no certificate that holds, or no answer in time."""


_NEVER = frozenset({400, 413, 415, 422})


@dataclass(frozen=True, slots=True)
class Answer:
    """`said` is for a log: it names the endpoint's host and holds nothing of the alert."""

    outcome: Outcome
    said: str
    retry_after_s: float | None = None
    """How long the endpoint asks to be left alone."""


def outcome_of(status: int) -> Outcome:
    """By the status of an HTTP answer (RFC 9110)."""
    if 200 <= status < 300:
        return Outcome.TAKEN
    return Outcome.REFUSED if status in _NEVER else Outcome.NOT_NOW


def retry_after_s(value: str | None, now_s: float) -> float | None:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3): a number or a date. None where there is none that is one."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now_s)
    except (ValueError, OverflowError):
        return None
