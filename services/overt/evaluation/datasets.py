"""Labelled images to evaluate with: a folder, or a manifest that says who is on which image.

A folder holds one subfolder for each person, or images named `<person>_<number>.jpg`. A manifest is CSV with a header,
or JSON (a list of objects): `image` (path from the manifest's folder), `person`, optionally `left`, `top`, `right`,
`bottom` in pixels (JSON: `box`), and any further columns, which are labels such as `sex` or `camera`.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from overt.governance.listing import IMAGE_SUFFIXES, subject_of

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""
Layout = Literal["subfolders", "prefixes", "manifest"]

_BOX = ("left", "top", "right", "bottom")
_OWN = ("image", "person", "box", *_BOX)
_MOST_PROBLEMS = 10


class DatasetError(ValueError):
    """Images or labels that cannot be evaluated with. The text says where, what was expected, and what to do."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of one person."""

    image: str
    """Its path from the data set's folder, with forward slashes: what results and labels call it."""
    path: Path
    person: str
    box: Box | None = None
    """Where the person's face is; None: the rule of `overt.evaluation.templates` chooses."""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Images in the order of their names."""

    source: Path
    layout: Layout
    samples: tuple[Sample, ...]
    identified: bool
    """Whether it says who is who. Without identities each image counts as a person of its own."""

    @property
    def people(self) -> int:
        return len({sample.person for sample in self.samples})

    def images_of_a_person(self) -> dict[int, int]:
        """By the number of images: how many people have that many."""
        return dict(sorted(Counter(Counter(s.person for s in self.samples).values()).items()))


def read_dataset(source: Path) -> Dataset:
    """A folder's or a manifest's images. Raises DatasetError; no image is opened."""
    if source.is_dir():
        return _folder(source)
    if not source.is_file():
        raise DatasetError(f"{source}: there is no such folder or manifest")
    suffix = source.suffix.lower()
    if suffix not in (".csv", ".json"):
        raise DatasetError(f"{source}: a folder of images, or a manifest that ends in .csv or .json is expected")
    rows = list(csv_rows(source) if suffix == ".csv" else _json_rows(source))
    return _manifest(source, rows)


def _folder(folder: Path) -> Dataset:
    try:
        direct = list(_images(folder, folder, by_folder=False))
        inner = [s for sub in sorted(folder.iterdir()) if sub.is_dir() and not sub.name.startswith(".")
                 for s in _images(sub, folder, by_folder=True)]  # fmt: skip
    except OSError as error:
        raise DatasetError(f"{error.filename}: cannot be listed ({error.strerror})") from error
    if direct and inner:
        raise DatasetError(
            f"{folder}: images lie both in it ({direct[0].image}) and in subfolders ({inner[0].image}); keep one "
            "of the two, or write a manifest"
        )
    samples = tuple(direct or inner)
    if not samples:
        raise DatasetError(
            f"{folder}: no image; expected {', '.join(sorted(IMAGE_SUFFIXES))} files in one subfolder for each person, "
            "or named <person>_<number>.jpg"
        )
    # Files side by side of which no two share a prefix say nothing of who is who (UTKFace, for one).
    identified = bool(inner) or len({s.person for s in samples}) < len(samples)
    return Dataset(folder, "subfolders" if inner else "prefixes", samples, identified)


def _images(folder: Path, root: Path, *, by_folder: bool) -> Iterator[Sample]:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not path.name.startswith("."):
            person = folder.name if by_folder else subject_of(path.name)
            yield Sample(path.relative_to(root).as_posix(), path, person)


def csv_rows(source: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row of a CSV file with its place in words. Raises DatasetError."""
    try:
        with source.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, strict=True)
            names = [name.strip() for name in reader.fieldnames or ()]
            if len(set(names)) != len(names) or "" in names:
                raise DatasetError(f"{source}: line 1: each column needs a name of its own, not {names}")
            for row in reader:
                where = f"{source}: line {reader.line_num}"
                if None in row or None in row.values():
                    raise DatasetError(f"{where}: {len(names)} fields are expected, as line 1 names them")
                yield where, {name: (value or "").strip() for name, value in zip(names, row.values(), strict=True)}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{source}: cannot be read as CSV in UTF-8 ({error})") from error


def _json_rows(source: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        rows = json.loads(source.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{source}: cannot be read as JSON ({error})") from error
    if not isinstance(rows, list):
        raise DatasetError(f'{source}: a list of objects like {{"image": "a/1.jpg", "person": "a"}} is expected')
    for number, row in enumerate(rows):
        where = f"{source}: [{number}]"
        if not isinstance(row, dict):
            raise DatasetError(f"{where}: an object is expected")
        yield where, {key: ("" if v is None else v if key == "box" else str(v)) for key, v in row.items()}


def _manifest(source: Path, rows: list[tuple[str, dict[str, Any]]]) -> Dataset:
    problems: list[str] = []
    samples: dict[tuple[str, Box | None], Sample] = {}
    for where, row in rows:
        try:
            sample = _sample(source.parent, row)
        except ValueError as error:
            problems.append(f"{where}: {error}")
            continue
        if (sample.image, sample.box) in samples:
            problems.append(f"{where}: image {sample.image} stands in the manifest twice; keep one, or give each a box")
        samples[sample.image, sample.box] = sample
    if problems:
        more = f"\n  and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
        raise DatasetError("\n  ".join(["the manifest cannot be used:", *problems[:_MOST_PROBLEMS]]) + more)
    if not samples:
        raise DatasetError(f"{source}: the manifest names no image")
    named = [bool(row.get("person")) for _, row in rows]
    if any(named) and not all(named):
        raise DatasetError(f"{rows[named.index(False)][0]}: no person; name one in every row, or in none")
    return Dataset(source, "manifest", tuple(samples.values()), all(named))


def _sample(folder: Path, row: Mapping[str, Any]) -> Sample:
    """One row. Raises ValueError without the place."""
    image = row.get("image", "")
    if not image:
        raise ValueError("no image; every row needs column image, a path from the manifest's folder")
    path = folder / image
    if not path.is_file():
        raise ValueError(f"image {image} is no file in {folder}")
    labels = {key: value for key, value in row.items() if key not in _OWN and value}
    return Sample(Path(image).as_posix(), path, row.get("person") or Path(image).as_posix(), _box(row), labels)


def _box(row: Mapping[str, Any]) -> Box | None:
    given = row.get("box") or [row[key] for key in _BOX if row.get(key)]
    if not given:
        return None
    try:
        left, top, right, bottom = (float(v) for v in given)
    except (TypeError, ValueError):
        raise ValueError(f"box: four numbers are expected ({', '.join(_BOX)}), not {given}") from None
    if not (all(map(math.isfinite, (left, top, right, bottom))) and left < right and top < bottom):
        raise ValueError(f"box: left < right and top < bottom are expected, not {given}")
    return left, top, right, bottom
