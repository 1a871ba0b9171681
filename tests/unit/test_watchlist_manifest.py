"""Manifests: what was written is read back, what is wrong is named with file, line and field, and nothing crashes."""

from __future__ import annotations

import csv
import json
import unicodedata
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.governance.listing import Particulars, WatchlistError
from overt.messages import Box
from overt.watchlist import manifest
from overt.watchlist.fields import COLUMNS, FIELDS, particulars_of
from overt.watchlist.manifest import read_manifest
from tests.support.manifests import csv_text, json_text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
letters = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters=DIRECTIONS)
plain_text = st.text(letters, max_size=20).map(lambda t: f"a{t}".strip())
corner, side = st.integers(0, 10_000), st.integers(1, 10_000)
boxes = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), corner, corner, side, side)
instants = st.integers(0, 4_000_000_000_000_000).map(lambda us: EPOCH + timedelta(microseconds=us))
values: dict[str, st.SearchStrategy[Any]] = {
    "basis": plain_text,
    "image_source": plain_text,
    "image_date": st.dates(date(1950, 1, 1)),
    "reviewer": plain_text,
    "valid_from": instants,
    "valid_until": instants,
    "under_18": st.booleans(),
    "decision_id": plain_text,
    "notes": plain_text,
    "box": boxes,
}
rows_of_particulars = st.fixed_dictionaries({}, optional=values)


def written(name: str, value: Any) -> str:
    """As a person types it into a table."""
    if name == "box":
        return ",".join(map(str, value))
    if name == "under_18":
        return "yes" if value else "no"
    return str(value.isoformat()) if name in ("image_date", "valid_from", "valid_until") else str(value)


def meant(row: dict[str, Any]) -> Particulars:
    micros = {n: (row[n] - EPOCH) // timedelta(microseconds=1) for n in ("valid_from", "valid_until") if n in row}
    other = {n: v for n, v in row.items() if n not in ("valid_from", "valid_until", "box")}
    other = {n: unicodedata.normalize("NFC", v) if isinstance(v, str) else v for n, v in other.items()}
    box: dict[str, Any] = {"box": Box(*map(float, row["box"]))} if "box" in row else {}
    return Particulars(**other, **box, **{f"{n}_us": v for n, v in micros.items()})


def read_back(fields: Any) -> Particulars:
    wrong: list[str] = []
    found = particulars_of(fields, wrong)
    assert not wrong
    return found


@given(st.lists(rows_of_particulars, min_size=1, max_size=5), st.sampled_from(",;\t"), st.booleans())
@settings(max_examples=40, deadline=None)
def test_what_a_table_says_is_read_back(particulars: list[dict[str, Any]], delimiter: str, bom: bool) -> None:
    """Whatever the spreadsheet put between the fields, and with or without its mark at the beginning."""
    rows = [
        {"subject_id": f"s-{n}", "image": f"{n}.jpg"} | {name: written(name, v) for name, v in row.items()}
        for n, row in enumerate(particulars)
    ]
    text = csv_text(rows, delimiter=delimiter, columns=COLUMNS)
    found = read_manifest("list.csv", text.encode("utf-8-sig" if bom else "utf-8"))
    assert [(r.wrong, r.fields["subject_id"], r.fields["image"]) for r in found] == [
        (None, row["subject_id"], row["image"]) for row in rows
    ]
    assert [read_back(r.fields) for r in found] == [meant(row) for row in particulars]


@given(st.lists(rows_of_particulars, min_size=1, max_size=4), rows_of_particulars)
@settings(max_examples=40, deadline=None)
def test_what_an_object_says_is_read_back_and_an_image_says_more_of_itself(
    images: list[dict[str, Any]], common: dict[str, Any]
) -> None:
    """A subject's fields hold for all its images; what one image says counts for that image."""

    def plain(row: dict[str, Any]) -> dict[str, Any]:
        return {
            name: v if name == "under_18" else list(v) if name == "box" else written(name, v) for name, v in row.items()
        }

    subject = {
        "subject_id": "s-1",
        **plain(common),
        "images": [{"image": f"{n}.jpg", **plain(row)} for n, row in enumerate(images)],
    }
    found = read_manifest("list.json", json_text([subject]).encode())
    assert [r.where for r in found] == [f"list.json: subjects[0].images[{n}]" for n in range(len(images))]
    assert [read_back(r.fields) for r in found] == [meant({**common, **row}) for row in images]


@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.json"]))
@settings(max_examples=120, deadline=None)
def test_any_bytes_are_rows_or_an_error_of_the_list(data: bytes, name: str) -> None:
    problems: list[str] = []
    rows = []
    try:
        rows = read_manifest(name, b"subject_id,image\n" + data if name == "a.csv" else data)
    except WatchlistError as error:
        problems = error.problems
    assert bool(rows) != bool(problems)
    assert all(said.startswith(name) for said in problems)
    for row in rows:
        particulars_of(row.fields, [])


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda c: st.lists(c) | st.dictionaries(st.sampled_from([*COLUMNS, "images", "subjects", "x"]), c),
    )
)
@settings(max_examples=80, deadline=None)
def test_any_json_is_rows_or_an_error_of_the_list(value: Any) -> None:
    try:
        rows = read_manifest("a.json", json.dumps(value).encode())
    except WatchlistError:
        return
    for row in rows:
        wrong: list[str] = []
        particulars_of(row.fields, wrong)
        assert all(w.split(":")[0] in FIELDS for w in wrong)


def problem(name: str, data: bytes | str) -> str:
    with pytest.raises(WatchlistError) as caught:
        read_manifest(name, data.encode() if isinstance(data, str) else data)
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "a.csv:1: column subject_id is missing; column image is missing"),
        (b"image\na.jpg", "a.csv:1: column subject_id is missing"),
        (b"subject_id,image,colour\ns,a.jpg,red", "a.csv:1: column 'colour' is not known; the columns are subject_id"),
        (b"subject_id,image,image\ns,a.jpg,b.jpg", "column 'image' is there twice"),
        (b"subject_id;imgae\ns;a.jpg", "column image is missing; column 'imgae' is not known"),
        (b"subject_id,image\n", "lists nobody"),
        (b'subject_id,image\n\ns-1,a.jpg\ns-2,"b.jpg', "a.csv:4: is not valid CSV"),
        ("subject_id,image\ns-1,a.jpg\nJosé,b.jpg".encode("latin-1"), "a.csv:3: is not UTF-8"),
        ("subject_id,image\ns,a.jpg".encode("utf-16"), "UTF-16; save it as UTF-8"),
        (b"subject_id,image\ns,\x89PNG\xff\x00", "a.csv:2: is not UTF-8"),
    ],
)
def test_a_table_that_is_none_is_named_with_its_line(data: bytes, said: str) -> None:
    assert said in problem("a.csv", data)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a.json:1: is not valid JSON"),
        ('{"subjects": [\n{"subject_id": "s",}]}', "a.json:2: is not valid JSON"),
        ('{"subjects": [], "more": 1}', 'expected {"subjects": [...]}'),
        ("3", 'expected {"subjects": [...]}'),
        ('[{"subject_id": "s", "subject_id": "t", "images": ["a.jpg"]}]', "'subject_id' is there twice in one object"),
        ('[{"subject_id": "s", "images": ["a.jpg"], "box": [NaN, 1, 2, 3]}]', "NaN is no number"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "lists nobody"),
        ('[{"subject_id": ' + "9" * 5000 + ', "images": ["a.jpg"]}]', "a.json: is not JSON of a watchlist"),
    ],
)
def test_json_that_is_no_list_is_named(text: str, said: str) -> None:
    assert said in problem("a.json", text)


def test_lines_are_those_of_the_file_also_behind_a_field_of_two_lines() -> None:
    text = 'subject_id,image,notes\ns-1,a.jpg,"one\ntwo"\n\n , ,\ns-2,b.jpg\ns-3,c.jpg,x,y\n'
    rows = read_manifest("a.csv", text.encode())
    assert [(r.where, r.wrong) for r in rows] == [
        ("a.csv:2", None),
        ("a.csv:6", "has 2 fields, the first line names 3; is one not quoted?"),
        ("a.csv:7", "has 4 fields, the first line names 3; is one not quoted?"),
    ]


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (5, "is a number; expected an object with subject_id and images"),
        (None, "is null"),
        ({"subject_id": "s"}, "images: expected a list of at least one file name"),
        ({"subject_id": "s", "images": []}, "images: expected a list"),
        ({"subject_id": "s", "images": "a.jpg"}, "images: expected a list"),
        ({"subject_id": "s", "images": [7]}, "is a number; expected a file name"),
        ({"subject_id": "s", "images": [{"img": "a.jpg"}]}, "is an object; expected a file name"),
        ({"subject_id": "s", "images": ["a.jpg"], "colour": 1}, "'colour' is not known"),
        ({"subject_id": "s", "images": [{"image": "a.jpg", "category": "x"}]}, "category belongs to the subject"),
    ],
)
def test_an_object_of_the_wrong_shape_is_refused_and_the_others_are_read(subject: Any, said: str) -> None:
    good = {"subject_id": "good", "image": "a.jpg"}
    rows = read_manifest("a.json", json.dumps([subject, good]).encode())
    assert said in (rows[0].wrong or "")
    assert (rows[-1].wrong, rows[-1].fields["subject_id"]) == (None, "good")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("image_date", "31.05.2024", "expected a day as 2024-05-31"),
        ("image_date", "2023-02-30", "expected a day"),
        ("image_date", 20240531, "expected a day"),
        ("valid_until", "2026-05-14T10:00:00", "with its offset from UTC"),
        ("valid_from", "tomorrow", "with its offset from UTC"),
        ("under_18", "maybe", "expected yes or no"),
        ("under_18", ["yes"], "expected yes or no"),
        ("box", "1,2,3", "expected x1,y1,x2,y2"),
        ("box", "10,10,5,20", "expected x1,y1,x2,y2"),
        ("box", "1,2,nan,4", "expected x1,y1,x2,y2"),
        ("box", [1, 2, 3, "x"], "expected x1,y1,x2,y2"),
        ("box", [-1, 2, 3, 4], "expected x1,y1,x2,y2"),
        ("box", {"x1": 1}, "expected x1,y1,x2,y2"),
        ("box", [10**400, 1, 2, 3], "expected x1,y1,x2,y2"),
        ("notes", "a\nb", "invisible character U+000A"),
        ("notes", "harmless\u202egpj.exe", "invisible character U+202E"),
        ("reviewer", "\x1b[31mred", "invisible character U+001B"),
        ("reviewer", "x" * 201, "has 201 characters, 200 at most"),
        ("basis", ["a"], "expected text"),
        ("decision_id", True, "expected text"),
    ],
)
def test_a_field_that_holds_something_else_is_named(name: str, value: Any, said: str) -> None:
    wrong: list[str] = []
    particulars_of({name: value}, wrong)
    assert len(wrong) == 1
    assert wrong[0].startswith(f"{name}: ")
    assert said in wrong[0]


def test_a_field_longer_than_the_csv_reader_takes_is_an_error_of_its_line() -> None:
    text = "subject_id,image,notes\ns-1,a.jpg,b\ns-2,b.jpg," + "x" * (csv.field_size_limit() + 1)
    assert problem("a.csv", text).startswith("a.csv:3: is not valid CSV")


def test_more_lines_than_any_list_has_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MOST_ROWS", 2)
    assert "lists more than 2 images; split it" in problem("a.csv", "subject_id,image\n" + "s,a.jpg\n" * 3)
    assert len(read_manifest("a.csv", b"subject_id,image\ns,a.jpg\ns,b.jpg\n")) == 2
