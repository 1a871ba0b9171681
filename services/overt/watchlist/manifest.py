"""A manifest of a watchlist: a CSV or JSON file that says of each image whom it shows, why, and where it is from.

What is wrong with the file as a whole (not UTF-8, a column missing) ends the reading with `WatchlistError`. What is
wrong with one line refuses that line, so that one slip of the pen does not keep a whole list from being made.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from overt.governance.listing import WatchlistError
from overt.watchlist.fields import COLUMNS

LARGEST_BYTES = 200_000_000
MOST_ROWS = 2_000_000
_DELIMITERS = (",", ";", "\t")
_DEMANDED = ("subject_id", "image")


@dataclass(frozen=True, slots=True)
class Row:
    """One image as a manifest lists it: fields by the names of `COLUMNS`, as they were written."""

    where: str
    """`list.csv:7`, `list.json: subjects[3].images[0]`."""
    fields: Mapping[str, Any] = field(repr=False)
    wrong: str | None = None
    """What is wrong with the row as such."""


def read_manifest(name: str, data: bytes) -> list[Row]:
    """The rows of a manifest; `name` is its file's, which ends in .csv or .json. Raises WatchlistError."""
    found = _of_json(name, data) if name.lower().endswith(".json") else _of_csv(name, data)
    rows = list(islice(found, MOST_ROWS + 1))
    if len(rows) > MOST_ROWS:
        raise WatchlistError([f"{name}: lists more than {MOST_ROWS} images; split it"])
    if not rows:
        raise WatchlistError([f"{name}: lists nobody; give each image a line"])
    return rows


def _text(name: str, data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise WatchlistError([f"{name}: is UTF-16; save it as UTF-8"])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise WatchlistError([f"{name}:{line}: is not UTF-8; save the file as UTF-8 (CSV UTF-8)"]) from None


def _of_csv(name: str, data: bytes) -> Iterator[Row]:
    text = _text(name, data)
    delimiter, columns = _header(name, text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        next(reader)
        line = reader.line_num + 1
        for values in reader:
            where, line = f"{name}:{line}", reader.line_num + 1
            if not any(value.strip() for value in values):
                continue
            wrong = None
            if len(values) != len(columns):
                wrong = f"has {len(values)} fields, the first line names {len(columns)}; is one not quoted?"
            yield Row(where, dict(zip(columns, values, strict=False)), wrong)
    except csv.Error as error:
        raise WatchlistError([f"{name}:{reader.line_num}: is not valid CSV ({error}); check the quotes"]) from None


def _header(name: str, text: str) -> tuple[str, list[str]]:
    """The delimiter and the columns. Spreadsheets write semicolons or tabs where the comma is for decimals."""
    first = next(iter(text.splitlines()), "")
    found: list[list[str]] = []
    for delimiter in _DELIMITERS:
        try:
            columns = [c.strip().casefold() for c in next(csv.reader([first], delimiter=delimiter, strict=True), [])]
        except csv.Error:
            continue
        if any(column in _DEMANDED for column in columns):
            _check_columns(name, columns)
            return delimiter, columns
        found.append(columns)
    columns = max(found, key=len, default=[])
    _check_columns(name, columns)
    raise AssertionError("a header without the columns that are demanded was accepted")


def _check_columns(name: str, columns: list[str]) -> None:
    problems = [f"column {c} is missing" for c in _DEMANDED if c not in columns]
    problems += [f"column {c!a} is not known" for c in dict.fromkeys(columns) if c not in COLUMNS]
    problems += [f"column {c!a} is there twice" for c in dict.fromkeys(columns) if columns.count(c) > 1]
    if problems:
        shown = problems[:10]
        raise WatchlistError([f"{name}:1: {'; '.join(shown)}; the columns are {', '.join(COLUMNS)}"])


def _of_json(name: str, data: bytes) -> Iterator[Row]:
    whole = _parsed(name, _text(name, data))
    if isinstance(whole, dict) and list(whole) == ["subjects"]:
        whole = whole["subjects"]
    if not isinstance(whole, list):
        raise WatchlistError([f'{name}: expected {{"subjects": [...]}}, each with subject_id and images'])
    for number, subject in enumerate(whole):
        yield from _of_subject(f"{name}: subjects[{number}]", subject)


def _of_subject(where: str, subject: Any) -> Iterator[Row]:
    if not isinstance(subject, dict):
        yield Row(where, {}, f"is {_named(subject)}; expected an object with subject_id and images")
        return
    images = subject.get("images", [subject["image"]] if "image" in subject else None)
    common = {key: value for key, value in subject.items() if key not in ("images", "image")}
    if not isinstance(images, list) or not images:
        yield Row(where, common, "images: expected a list of at least one file name")
        return
    for number, image in enumerate(images):
        at = f"{where}.images[{number}]"
        if isinstance(image, str):
            yield _known(at, {**common, "image": image})
        elif isinstance(image, dict) and isinstance(image.get("image"), str):
            yield _known(at, {**common, **image}, own=image)
        else:
            yield Row(at, common, f'is {_named(image)}; expected a file name, or {{"image": "a.jpg", ...}}')


def _known(where: str, fields: Mapping[str, Any], own: Iterable[str] = ()) -> Row:
    unknown = [key for key in fields if key not in COLUMNS]
    moved = [key for key in ("subject_id", "category") if key in own]
    wrong = None
    if unknown:
        wrong = f"{unknown[0]!a} is not known; the fields are {', '.join(COLUMNS)}"
    elif moved:
        wrong = f"{moved[0]} belongs to the subject, not to one of its images"
    return Row(where, fields, wrong)


def _parsed(name: str, text: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in names if names.count(key) > 1)
            raise ValueError(f"{twice!a} is there twice in one object")
        return found

    def no_number(constant: str) -> Any:
        raise ValueError(f"{constant} is no number")

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=no_number)
    except json.JSONDecodeError as error:
        raise WatchlistError([f"{name}:{error.lineno}: is not valid JSON ({error.msg}); mend it here"]) from None
    except (ValueError, RecursionError) as error:
        said = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise WatchlistError([f"{name}: is not JSON of a watchlist ({said})"]) from None


def _named(value: Any) -> str:
    names = {list: "a list", dict: "an object", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
