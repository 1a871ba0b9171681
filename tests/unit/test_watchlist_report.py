"""The account of a build: the same for the same list, complete, safe to open, and it never calls anybody found."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from unittest import mock

from overt.messages import Kind
from overt.output.wording import KIND
from overt.watchlist import report, sheet
from overt.watchlist.build import in_order
from overt.watchlist.report import as_dict, as_json, as_text
from overt.watchlist.results import Built, Detail, Pair, Refusal, Resemblance
from overt.watchlist.sheet import render
from tests.support import messages as make

END_US = 1_778_770_800_000_000
HOSTILE = "<script>alert(1)</script>&\"'"


def built(**changes: object) -> Built:
    entries = [
        make.entry(entry_id="e1", subject_id="s-1", notes="scar"),
        make.entry(entry_id="e2", subject_id="s-1", reference_image=make.picture(6)),
        make.entry(
            entry_id="e3", subject_id="m-1", category="missing-child", kind=Kind.MISSING, under_18=True, image_date=None
        ),
    ]
    details = {
        "e1": Detail("list.csv:2: a.jpg", 72.4, 0.91, 2.0),
        "e2": Detail("list.csv:3: b.jpg", 31.2, 0.44, 2.0, ("31 px between the eyes, 60 wanted", "somewhat blurred")),
        "e3": Detail("list.csv:4: c.jpg", 80.0, 0.8, None, ("the image has no date",)),
    }
    whole = Built(
        deployment_id="d1",
        space_id="plain/1",
        models={"embedder": "bb", "detector": "aa"},
        built_at_us=END_US - 7_200_000_000,
        entries=entries,
        details=details,
        refusals=[Refusal("list.csv:5: d.jpg", "s-2", "2 faces found")],
        pairs=[Pair(Resemblance.NEAR_TWINS, "e1", "e3", 0.5012)],
        pairs_in_all=1,
        remarks=["1 of 3 entries do not say when it was taken."],
    )
    return dataclasses.replace(whole, **changes)  # type: ignore[arg-type]


def test_the_text_says_who_was_accepted_who_not_and_why() -> None:
    assert as_text(built()).splitlines() == [
        "watchlist of d1, made 2026-05-14 13:00:00 UTC, model space plain/1",
        "accepted: 3 of 4 images, of 2 subjects",
        "  missing-child (missing): 1 image of 1 subject",
        "  suspects (wanted): 2 images of 1 subject",
        "  under 18: 1 subject, each with a recorded decision",
        "refused: 1",
        "  list.csv:5: d.jpg: 2 faces found",
        "warnings: 2",
        "  list.csv:3: b.jpg (s-1, wanted): 31 px between the eyes, 60 wanted; somewhat blurred",
        "  list.csv:4: c.jpg (m-1, missing): the image has no date",
        "look-alikes: 1",
        "  s-1 (list.csv:2: a.jpg) and m-1 (list.csv:4: c.jpg): similarity 0.501: near-twins: each may alert as the "
        "other; tell the operators",
        "remarks: 1",
        "  1 of 3 entries do not say when it was taken.",
    ]


def test_a_list_without_fault_has_no_empty_headings() -> None:
    plain = built(refusals=[], pairs=[], pairs_in_all=0, remarks=[], details={
        e: Detail("a.jpg", 80, 1, 1.0) for e in ("e1", "e2", "e3")
    })  # fmt: skip
    assert len(as_text(plain).splitlines()) == 5
    for heading in ("Refused", "Look-alikes", "About the list"):
        assert heading not in render(plain, END_US)


def test_the_text_is_bounded_and_says_what_it_leaves_out() -> None:
    many = [Refusal(f"list.csv:{n}", "", "no face found") for n in range(1000)]
    lines = as_text(built(refusals=many)).splitlines()
    assert "refused: 1000" in lines
    assert f"  and {1000 - report.MOST_LINES} more; report.json names those that were kept" in lines
    assert len(lines) < report.MOST_LINES + 30


def test_the_json_has_everything_but_biometrics() -> None:
    said = json.loads(as_json(built()))
    assert said == json.loads(json.dumps(as_dict(built())))
    third = said["entries"][2]
    assert (third["kind"], third["under_18"], third["decision_id"]) == ("missing", True, "D-7")
    assert (third["image_date"], third["image_age_years"]) == (None, None)
    assert said["entries"][0]["notes"] == "scar"
    assert said["refusals"] == [{"place": "list.csv:5: d.jpg", "subject_id": "s-2", "why": "2 faces found"}]
    assert said["look_alikes"][0]["what"] == "near-twins"
    fields = set(said["entries"][0])
    assert not fields & {"vector", "reference_image", "landmarks", "box"}


def test_the_same_list_gives_the_same_bytes() -> None:
    one, other = built(), built(models={"detector": "aa", "embedder": "bb"})
    assert (as_text(one), as_json(one), render(one, END_US)) == (as_text(other), as_json(other), render(other, END_US))


def test_refusals_stand_in_the_order_of_the_lines() -> None:
    places = ["list.csv:9: a.jpg", "list.csv:10: a.jpg", "list.csv:100", "s-2/9.jpg", "s-10/1.jpg"]
    assert sorted(places, key=in_order) == places
    assert sorted(["²", "a"], key=in_order) == ["a", "²"]  # no number, whatever it looks like


class Page(HTMLParser):
    """Tags, and what images and links point at."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_sheet_says_what_it_holds_and_when_it_must_be_gone() -> None:
    html = render(built(), END_US)
    assert "This file holds pictures of people who are on the watchlist." in html
    assert "Delete it once the list is reviewed, at the latest at 2026-05-14 15:00:00 UTC" in html


def test_the_sheet_shows_every_accepted_image_and_nobody_who_was_refused() -> None:
    page = Page(render(built(pairs=[], pairs_in_all=0), END_US))
    assert len(page.sources) == 3
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)


def test_the_sheet_fetches_nothing_runs_nothing_and_escapes_what_was_handed_in() -> None:
    entry = make.entry(
        entry_id="e1", subject_id=HOSTILE, basis=HOSTILE, notes=HOSTILE, reviewer=HOSTILE, image_source=HOSTILE,
        decision_id=HOSTILE, category=HOSTILE,
    )  # fmt: skip
    detail = Detail(HOSTILE, 70, 0.9, 1.0, (HOSTILE,))
    hostile = built(
        entries=[entry], details={"e1": detail}, refusals=[Refusal(HOSTILE, HOSTILE, HOSTILE)], remarks=[HOSTILE],
        pairs=[Pair(Resemblance.UNLIKE, "e1", "e1", 0.1)],
    )  # fmt: skip
    html = render(hostile, END_US)
    page = Page(html)
    assert "script" not in page.tags
    assert not {"link", "iframe", "form", "object"} & set(page.tags)
    assert "default-src 'none'" in html
    assert all(source.startswith("data:") for source in page.sources)


def test_a_long_list_shows_those_with_warnings_and_says_how_many_more_there_are() -> None:
    entries = [make.entry(entry_id=f"e{n}", subject_id=f"s{n}") for n in range(6)]
    details = {f"e{n}": Detail("a.jpg", 70, 0.9, 1.0, ("somewhat blurred",) if n > 3 else ()) for n in range(6)}
    with mock.patch.object(sheet, "MOST_PICTURES", 3):
        html = render(built(entries=entries, details=details, pairs=[], pairs_in_all=0), END_US)
    assert re.findall(r"<b>(s\d)</b>", html) == ["s0", "s4", "s5"]
    assert "3 more entries, all without warnings, are not shown here" in html


def test_nobody_is_called_found() -> None:
    """A missing person is a candidate until a person has decided. (Two faces may be found in an image.)"""
    words = [
        as_text(built(refusals=[])),
        as_json(built(refusals=[])),
        render(built(refusals=[]), END_US),
        *KIND.values(),
    ]
    assert not [text for text in words if re.search(r"\b(found|traced|identified|recovered)\b", text)]
    assert "candidate" in render(built(), END_US)
