"""The certificate: what was measured, of which models, policy, list size and thresholds, signed.

    {"format": "overt-certificate", "version": 1, "body": {...},
     "signature": {"algorithm": "Ed25519", "key": "sha256:...", "public_key": "<PEM>", "value": "<base64>"}}

Signed are the bytes `overt-certificate/1`, a line feed, and the body in canonical form (`overt.evaluation.canonical`).
Numbers that are not whole stand as decimal text. Whether a certificate applies to a deployment is another question: see
`overt.evaluation.fit`.
"""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from overt.evaluation.canonical import canonical, decimal
from overt.evaluation.signing import fingerprint, public_pem, verifies

FORMAT = "overt-certificate"
VERSION = 1
_MOST_BYTES = 4 << 20


class CertificateError(ValueError):
    """A certificate cannot be read, is not valid, or cannot be made. The text says what to do."""


def _number(value: Any) -> Any:
    if isinstance(value, str):
        return float(value)
    if isinstance(value, float):
        return value
    raise ValueError("expected a number as decimal text")


Real = Annotated[float, BeforeValidator(_number), PlainSerializer(decimal), Field(allow_inf_nan=False)]
"""Written as the shortest decimal text that gives the same float again."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Model(_Part):
    """A model that was measured."""

    name: str
    sha256: Sha256
    """Of the file that is run."""


class Measured(_Part):
    """A rate with its 95 % interval."""

    count: int
    trials: int
    people: int | None
    """Different people behind the trials."""
    low: Real
    high: Real

    @property
    def value(self) -> float:
        return self.count / self.trials


class Rule(_Part):
    """When an alert is raised for a category: one match from `strong`, or several from `match` within a time."""

    match: Real
    strong: Real
    confirmations: int
    within_s: Real


class Operating(_Part):
    """What was measured with a rule."""

    rule: Rule
    tpir: Measured
    fpir: Measured
    """With as many subjects on the list as were measured with."""
    fpir_in_class: Real
    """Upper 95 % bound for the longest list of the class, by 1 - (1 - FPIR)^(longest / measured with)."""


class ListSize(_Part):
    """The class of list sizes that the certificate is for; FPIR grows with the list."""

    up_to: int
    """Subjects."""
    measured_with: int


class GroupMeasured(_Part):
    """One error of one group."""

    label: str
    group: str
    error: str
    measured: Measured | None
    not_measurable: str | None


class TailPoint(_Part):
    """How many strangers reach a similarity: the share of non-mated searches, and its upper 95 % bound."""

    cosine: Real
    fpir: Real
    high: Real


class Data(_Part):
    """On what it was measured. No person is named."""

    description: str
    images: int | None
    people: int | None
    sha256: Sha256 | None
    result_sha256: Sha256
    """Of the result.json that the certificate was made from."""


class Certificate(_Part):
    """The body."""

    made_at: str
    """ISO 8601, UTC."""
    measured_at: str
    overt: str
    """Version of the software that measured."""
    unit: Literal["pass", "image"]
    """What a trial is: a walk through the zone with the whole pipeline, or the search of a single image."""
    detector: Model
    embedder: Model
    space_id: str
    quality_policy_sha256: Sha256
    quality_policy: dict[str, Any]
    """Everything that decides which crops are compared, in clear; the hash is over its canonical form."""
    list_size: ListSize
    operating: tuple[Operating, ...] = Field(min_length=1)
    fta: Measured | None
    groups: tuple[GroupMeasured, ...]
    tail: tuple[TailPoint, ...]
    """By rising similarity."""
    data: Data
    limits: tuple[str, ...]
    """Sentences on what was not measured."""


class Signed(_Part):
    """A certificate whose signature has been verified."""

    body: Certificate
    key: str
    """Fingerprint of the key that signed. Anybody can make a key: whose it is must be known from elsewhere."""


def sign(body: Certificate, key: Ed25519PrivateKey) -> str:
    """The certificate's file, as text."""
    said = body.model_dump(mode="json")
    public = key.public_key()
    document = {
        "format": FORMAT,
        "version": VERSION,
        "body": said,
        "signature": {
            "algorithm": "Ed25519",
            "key": fingerprint(public),
            "public_key": public_pem(public).decode("ascii"),
            "value": base64.b64encode(key.sign(_signed_bytes(said))).decode("ascii"),
        },
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def read_certificate(path: Path) -> Signed:
    """Reads and verifies a certificate's file. Raises CertificateError."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise CertificateError(
            f"{path}: there is no such file; make one with `overt evaluate certificate create`"
        ) from None
    except OSError as error:
        raise CertificateError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return parse(data)
    except CertificateError as error:
        raise CertificateError(f"{path}: {error}") from None


def parse(data: bytes) -> Signed:
    """A certificate from its bytes, verified. Raises CertificateError; nothing of an unverified body is returned."""
    document = _json(data)
    if document.get("format") != FORMAT or document.get("version") != VERSION:
        raise CertificateError(f"is no certificate of version {VERSION} (field format or version)")
    if set(document) != {"format", "version", "body", "signature"}:
        raise CertificateError("has other fields than format, version, body and signature")
    key, value = _signature(document["signature"])
    try:
        signed = _signed_bytes(document["body"])
    except ValueError as error:
        raise CertificateError(f"signature: the body cannot have been signed: {error}") from None
    if not verifies(key, value, signed):
        raise CertificateError("signature: it does not verify; the certificate was changed after it was signed")
    try:
        body = Certificate.model_validate(document["body"])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise CertificateError(f"body.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return Signed(body=body, key=fingerprint(key))


def _signed_bytes(body: Any) -> bytes:
    return f"{FORMAT}/{VERSION}\n".encode() + canonical(body)


def _signature(said: Any) -> tuple[Ed25519PublicKey, bytes]:
    """The public key and the signature's bytes."""
    wrong = CertificateError("signature: expected algorithm Ed25519, key, public_key in PEM and value in base64")
    if not isinstance(said, dict) or set(said) != {"algorithm", "key", "public_key", "value"}:
        raise wrong
    try:
        key = serialization.load_pem_public_key(said["public_key"].encode())
        value = base64.b64decode(said["value"], validate=True)
    except (ValueError, TypeError, AttributeError, binascii.Error):
        raise wrong from None
    if said["algorithm"] != "Ed25519" or not isinstance(key, Ed25519PublicKey):
        raise wrong
    if fingerprint(key) != said["key"]:
        raise CertificateError("signature: key is not the fingerprint of public_key")
    return key, value


def _json(data: bytes) -> dict[str, Any]:
    if len(data) > _MOST_BYTES:
        raise CertificateError("is larger than 4 MiB, which no certificate is")
    try:
        document = json.loads(data, object_pairs_hook=_once, parse_constant=_none)
    except (ValueError, RecursionError) as error:
        raise CertificateError(f"is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise CertificateError("is no JSON object")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A key that stands twice could be read in two ways."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _none(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")
