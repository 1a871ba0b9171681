"""What is asked of an entry whatever its image is like: validity within the window, children, old images, reviewers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overt.governance.deployment import Deployment
from overt.governance.listing import ListedImage, Particulars
from overt.watchlist.rules import Ruling, about_the_list, rule, unsaid
from tests.support.runs import deployment as deployment_file

HOUR_US = 3_600_000_000
START = datetime(2026, 5, 14, 9, tzinfo=UTC)
START_US = int(START.timestamp()) * 1_000_000
END_US = START_US + 6 * HOUR_US


def deployed(**missing: Any) -> Deployment:
    data = deployment_file([{"id": "c", "source": "a.mp4", "partition": 0, "zone": ZONE}], Path("people"))
    data["window"] = {"start": START.isoformat(), "end": (START + timedelta(hours=6)).isoformat()}
    data["watchlist"]["categories"] = [
        {"id": "wanted", "kind": "wanted", "basis": "Warrants", "folder": "wanted"},
        {"id": "missing", "kind": "missing", "basis": "The family agreed", "folder": "missing", **missing},
    ]
    return Deployment.model_validate(data)


ZONE = {"id": "z", "polygon": [[0, 0], [1, 0], [1, 1]]}
DEPLOYMENT = deployed()
WHOLE = Particulars(image_source="passport", image_date=date(2026, 1, 1), reviewer="R", under_18=False)


def ruled(category: str = "wanted", deployment: Deployment = DEPLOYMENT, **said: Any) -> Ruling:
    image = ListedImage(Path("a.jpg"), "s", category, Particulars(**said))
    return rule(image, deployment)


def test_an_entry_is_valid_for_the_window_unless_something_says_less() -> None:
    assert (ruled().terms.valid_from_us, ruled().terms.valid_until_us) == (START_US, END_US)
    assert ruled(valid_from_us=1, valid_until_us=END_US * 2).terms == ruled().terms
    shorter = ruled(valid_from_us=START_US + 5, valid_until_us=END_US - 5).terms
    assert (shorter.valid_from_us, shorter.valid_until_us) == (START_US + 5, END_US - 5)


def test_a_category_has_a_validity_of_its_own() -> None:
    """Missing people are looked for as long as their review says, whatever holds for the wanted."""
    deployment = deployed(valid_hours=2)
    assert ruled("missing", deployment).terms.valid_until_us == START_US + 2 * HOUR_US
    assert ruled("wanted", deployment).terms.valid_until_us == END_US
    assert ruled("missing", deployment, valid_until_us=START_US + HOUR_US).terms.valid_until_us == START_US + HOUR_US


@given(st.integers(0, 2 * END_US) | st.none(), st.integers(0, 2 * END_US) | st.none())
def test_nobody_is_looked_for_outside_the_window(since: int | None, until: int | None) -> None:
    ruling = ruled(valid_from_us=since, valid_until_us=until)
    terms = ruling.terms
    if not ruling.refusals:
        assert START_US <= terms.valid_from_us < terms.valid_until_us <= END_US
    else:
        assert not any((since or 0) <= at < (END_US if until is None else until) for at in (START_US, END_US - 1))


def test_what_has_expired_and_what_never_begins_is_refused() -> None:
    assert "it has expired: valid_until lies before the window" in ruled(valid_until_us=START_US).refusals[0]
    assert "at no moment of the window" in ruled(valid_from_us=END_US).refusals[0]
    late = ruled("missing", deployed(valid_hours=1), valid_from_us=START_US + 2 * HOUR_US)
    assert "category missing is valid for 1 hours" in late.refusals[0]


@pytest.mark.parametrize("category", ["wanted", "missing"])
def test_a_child_needs_a_recorded_decision(category: str) -> None:
    assert "under 18 and no decision is recorded" in ruled(category, under_18=True).refusals[0]
    assert "under 18 and no decision is recorded" in ruled(category, under_18=True, decision_id="").refusals[0]
    assert not ruled(category, under_18=True, decision_id="D-7").refusals
    assert not ruled(category, under_18=False).refusals


def test_the_images_age_is_counted_to_the_windows_start() -> None:
    assert ruled(image_date=date(2024, 5, 14)).age_years == pytest.approx(2, abs=0.01)
    assert ruled().age_years is None


@pytest.mark.parametrize(
    ("taken", "child", "warned"),
    [
        (date(2023, 6, 1), True, False),
        (date(2023, 5, 1), True, True),
        (date(2023, 5, 1), False, False),
        (date(2016, 5, 1), False, True),
    ],
)
def test_a_childs_image_is_old_after_three_years_and_anybodys_after_ten(taken: date, child: bool, warned: bool) -> None:
    warnings = ruled("missing", image_date=taken, under_18=child, decision_id="D").warnings
    assert bool(warnings) == warned
    assert not warned or f"taken {taken}" in warnings[0]


def test_an_image_from_the_future_is_refused() -> None:
    assert "lies after the deployment's start" in ruled(image_date=date(2026, 5, 15)).refusals[0]
    assert not ruled(image_date=date(2026, 5, 14)).refusals


def test_more_is_asked_of_a_missing_persons_entry() -> None:
    assert len(ruled("missing").warnings) == 2
    assert ruled("wanted").warnings == ()
    assert ruled("missing", image_date=date(2026, 1, 1), under_18=False).warnings == ()


def test_the_basis_is_the_entrys_own_or_its_categorys() -> None:
    assert ruled("missing").terms.basis == "The family agreed"
    assert ruled("missing", basis="Order 7").terms.basis == "Order 7"


def test_what_an_entry_does_not_say_is_counted() -> None:
    assert unsaid(ListedImage(Path("a.jpg"), "s", "wanted", WHOLE)) == ()
    assert unsaid(ListedImage(Path("a.jpg"), "s", "wanted")) == ("image_source", "image_date", "reviewer")


def test_a_list_made_more_than_a_day_before_is_remarked_on() -> None:
    assert about_the_list(DEPLOYMENT, START_US - 25 * HOUR_US) == [
        "The list is made 25 hours before the window begins, more than 24: make it again when the start is near."
    ]
    assert about_the_list(DEPLOYMENT, START_US - 24 * HOUR_US) == []
    assert about_the_list(DEPLOYMENT, START_US + HOUR_US) == []
