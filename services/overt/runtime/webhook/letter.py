"""What is posted of an alert, and its signature.

Signed as Standard Webhooks 1.0 says (https://github.com/standard-webhooks/standard-webhooks, `v1`), so that a receiver
can take a library for it: HMAC-SHA256 over `ID.TIMESTAMP.BODY`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from overt import __version__
from overt.messages import Alert
from overt.output.alerts_jsonl import alert_to_line
from overt.output.wording import KIND, iso

TYPE = "alert.candidate"
_PREFIX = "whsec_"
_SECRET_BYTES = (24, 64)


class SecretError(ValueError):
    """A signing secret cannot be used. The text says what was expected and never what was there."""


@dataclass(frozen=True, slots=True)
class Secret:
    """The key that both ends know."""

    secret: bytes = field(repr=False)


def parse_secret(text: str) -> Secret:
    """A secret as Standard Webhooks writes one: `whsec_` and base64 of 24 to 64 bytes. Raises SecretError."""
    least, most = _SECRET_BYTES
    expected = f"expected {_PREFIX} and {least} to {most} bytes in base64"
    if not text.startswith(_PREFIX):
        raise SecretError(expected)
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SecretError(expected) from None
    if not least <= len(key) <= most:
        raise SecretError(expected)
    return Secret(key)


def body_of(alert: Alert) -> bytes:
    """The alert as JSON in UTF-8: no picture and no vector. The same bytes for the same alert.

    `data` has the fields of alerts.jsonl; `wording` is what to call it: a missing person is not found by it.
    """
    head = {"type": TYPE, "timestamp": iso(alert.alerted_at_us), "wording": f"candidate: {KIND[alert.kind]}"}
    return (json.dumps(head)[:-1] + f', "data": {alert_to_line(alert)}}}').encode()


def headers_of(alert_id: str, body: bytes, at_s: int, secret: Secret) -> Mapping[str, str]:
    """The headers of one attempt, made at `at_s` seconds since the Unix epoch.

    A receiver refuses a timestamp that is minutes away from its own clock, so that a letter that somebody has recorded
    cannot be sent again later; `webhook-id` stays the same in every attempt.
    """
    signed = b".".join([alert_id.encode(), str(at_s).encode(), body])
    digest = hmac.new(secret.secret, signed, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "User-Agent": f"overt/{__version__}",
        "Idempotency-Key": f'"{alert_id}"',
        "webhook-id": alert_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
