"""Results as files: `result.json` (format `overt-evaluation`, version 1), and tables as CSV.

`result.json` holds what is needed to make it again: command, settings, seed, the models' sha256 and the data's. Its
keys are documented in docs/evaluation.md; a change that a reader would notice raises `VERSION`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from overt.evaluation.datasets import Dataset
from overt.evaluation.estimate import Estimate
from overt.evaluation.intervals import Rate
from overt.evaluation.templates import Template
from overt.evaluation.unmeasurable import NotMeasurable

FORMAT = "overt-evaluation"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Made:
    """Who made a result, when and how."""

    overt: str
    date: str
    """ISO 8601, UTC."""
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Data:
    """What was evaluated on. No path and no name of a person."""

    name: str
    layout: str
    images: int
    people: int | None
    """None without identities."""
    images_of_a_person: Mapping[int, int]
    """By a number of images, how many people have that many."""
    sha256: str
    """Over the sorted lines `<image's sha256> <person>`: equal for equal data only."""
    repeated: int
    """Images that stand under more than one person: either the labels or the images are wrong."""
    failures: Mapping[str, int]
    """By reason, images that give no template."""


def describe(data: Dataset, made: Sequence[Template]) -> Data:
    """What a result says of its data."""
    lines = sorted(f"{t.image_sha256} {s.person}" for t, s in zip(made, data.samples, strict=True))
    owners: dict[str, set[str]] = {}
    for template, sample in zip(made, data.samples, strict=True):
        if template.image_sha256:
            owners.setdefault(template.image_sha256, set()).add(sample.person)
    reasons = [t.failure for t in made if t.failure is not None]
    return Data(
        name=data.source.resolve().name,
        layout=data.layout,
        images=len(data.samples),
        people=data.people if data.identified else None,
        images_of_a_person=data.images_of_a_person() if data.identified else {},
        sha256=hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest(),
        # A crowd in one picture, each with a box, is no mistake.
        repeated=sum(len(people) > 1 for people in owners.values()) if not any(s.box for s in data.samples) else 0,
        failures={reason.value: reasons.count(reason) for reason in sorted(set(reasons))},
    )


def document(kind: str, made: Made, parts: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `result.json`."""
    head = {"format": FORMAT, "version": VERSION, "kind": kind, "made": made}
    document: dict[str, Any] = plain({**head, **parts})
    return document


def plain(value: Any) -> Any:
    """Anything that measures are made of, as JSON has it. Infinite numbers and NaN become null."""
    if isinstance(value, NotMeasurable):
        return {"not_measurable": value.reason}
    if isinstance(value, Rate):
        return {"value": plain(value.value), "count": value.count, "trials": value.trials}
    if isinstance(value, Estimate):
        return {**plain(value.rate), "people": value.people, "interval": plain(value.interval)}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, bool, int)):
        return value
    raise TypeError(f"{type(value).__name__} has no place in a result")


def write_text(path: Path, text: str) -> None:
    """Writes a file at once and whole, with its folder. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def as_json(content: Mapping[str, Any]) -> str:
    """Indented, with one line's end."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows with the same keys; the keys are the header."""
    text = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(text, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
    return text.getvalue()
