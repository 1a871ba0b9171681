"""What an evaluation's result.json says, as far as a certificate needs it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from overt.evaluation.certificate import CertificateError, Model


class Said(BaseModel):
    """Parts of a result.json: other keys are nobody's business here."""

    model_config = ConfigDict(extra="ignore")


class SaidInterval(Said):
    low: float
    high: float


class SaidEstimate(Said):
    count: int
    trials: int
    people: int | None = None
    interval: SaidInterval


class SaidNot(Said):
    not_measurable: str


class SaidPoint(Said):
    match: float
    strong: float | None
    confirmations: int | None
    within_s: float | None
    tpir: SaidEstimate | SaidNot
    fpir: SaidEstimate | SaidNot


class SaidTail(Said):
    cosine: list[float]
    fpir: list[float]
    high: list[float]


class SaidCertifiable(Said):
    unit: str
    detector: Model
    embedder: Model
    space_id: str
    list_size: int
    points: list[SaidPoint]
    fta: SaidEstimate | SaidNot
    tail: SaidTail | SaidNot
    quality_policy_sha256: str | None
    limits: list[str]


class SaidMade(Said):
    overt: str
    date: str


class SaidData(Said):
    name: str
    images: int | None = None
    people: int | None = None
    sha256: str | None = None


class Result(Said):
    """What is read of a result.json."""

    made: SaidMade
    data: SaidData
    certifiable: SaidCertifiable
    sha256: str = ""


def read_result(path: Path) -> Result:
    """An evaluation's result. Raises CertificateError, which says what is missing."""
    document, sha256 = read_document(path)
    if "certifiable" not in document:
        raise CertificateError(
            f"{path}: a certificate is made from a result of `overt evaluate video` or `overt evaluate identify`;"
            f" this is one of kind {document.get('kind')}"
        )
    try:
        return Result.model_validate({**document, "sha256": sha256})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise CertificateError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def read_document(path: Path) -> tuple[dict[str, Any], str]:
    """The JSON of a result and its file's SHA-256. Raises CertificateError."""
    try:
        data = path.read_bytes()
        document = json.loads(data)
    except OSError as error:
        raise CertificateError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise CertificateError(f"{path}: is not valid JSON; expected a result.json of `overt evaluate`") from None
    if not isinstance(document, dict) or document.get("format") != "overt-evaluation":
        raise CertificateError(f"{path}: is no result.json of `overt evaluate` (field format)")
    return document, hashlib.sha256(data).hexdigest()
