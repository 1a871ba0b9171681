"""Who resembles whom: the blocked comparison says what a comparison of every pair with every other says."""

from __future__ import annotations

import itertools
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.messages import Vector, WatchlistEntry
from overt.watchlist import twins
from overt.watchlist.results import Resemblance
from overt.watchlist.twins import Alike, resemblances
from tests.support import messages as make

ALIKE = {"suspects": Alike(0.6, 0.8), "missing": Alike(0.4, 0.9)}


def silent(done: int, total: int) -> None:
    pass


def entry(number: int, subject: int, vector: Vector, category: str = "suspects") -> WatchlistEntry:
    return make.entry(entry_id=f"e{number:03}", subject_id=f"s{subject}", vector=vector, category=category)


def at(degrees: float) -> Vector:
    """A unit vector of the plane."""
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)


def test_the_same_person_under_two_ids_and_near_twins_are_told_apart() -> None:
    entries = [entry(0, 0, at(0)), entry(1, 1, at(20)), entry(2, 2, at(-45)), entry(3, 3, at(180))]
    found = resemblances(entries, ALIKE, 0.0, silent)
    assert [(p.what, p.entry_id, p.other_id) for p in found.pairs] == [
        (Resemblance.SAME_PERSON, "e000", "e001"),
        (Resemblance.NEAR_TWINS, "e000", "e002"),
    ]
    assert found.in_all == 2
    assert found.pairs[0].similarity == pytest.approx(np.cos(np.radians(20)), abs=1e-6)


def test_the_laxer_of_two_categories_decides() -> None:
    """Whoever passes by may be either of the two: one alert too many is enough."""
    assert not resemblances([entry(0, 0, at(0)), entry(1, 1, at(60))], ALIKE, 0.0, silent).pairs
    mixed = [entry(0, 0, at(0)), entry(1, 1, at(60), "missing")]
    assert [p.what for p in resemblances(mixed, ALIKE, 0.0, silent).pairs] == [Resemblance.NEAR_TWINS]


def test_an_image_unlike_its_subjects_others_is_shown_with_the_nearest_of_them() -> None:
    entries = [
        entry(0, 0, at(0)),
        entry(1, 0, at(10)),
        entry(2, 0, at(100)),
        entry(3, 1, at(-120)),
        entry(4, 1, at(150)),
    ]
    found = [p for p in resemblances(entries, ALIKE, 0.5, silent).pairs if p.what is Resemblance.UNLIKE]
    assert [(p.entry_id, p.other_id) for p in found] == [("e002", "e001"), ("e003", "e004")]


@pytest.mark.parametrize("entries", [[], [entry(0, 0, at(0))]])
def test_an_empty_list_and_a_list_of_one_resemble_nobody(entries: list[WatchlistEntry]) -> None:
    assert resemblances(entries, ALIKE, 0.5, silent).pairs == ()


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 12), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_blocks_say_what_every_pair_says(seed: int, count: int, subjects: int, rows: int, columns: int) -> None:
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(count, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    categories = [list(ALIKE)[k] for k in generator.integers(0, 2, subjects)]
    owner = generator.integers(0, subjects, count)
    entries = [entry(n, int(s), v, categories[s]) for n, (s, v) in enumerate(zip(owner, vectors, strict=True))]
    with mock.patch.multiple(twins, _ROWS=rows, _COLUMNS=columns):
        found = resemblances(entries, ALIKE, -1.1, silent)
    expected: dict[frozenset[str], float] = {}
    for one, other in itertools.combinations(entries, 2):
        value = float(one.vector @ other.vector)
        needed = min(ALIKE[one.category].match, ALIKE[other.category].match)
        pair = frozenset((one.subject_id, other.subject_id))
        if len(pair) == 2 and value >= needed:
            expected[pair] = max(value, expected.get(pair, -1))
    subject = {e.entry_id: e.subject_id for e in entries}
    said = {frozenset((subject[p.entry_id], subject[p.other_id])): p.similarity for p in found.pairs}
    assert said == {pair: pytest.approx(value, abs=2e-6) for pair, value in expected.items()}
    assert found.in_all == len(expected)


def test_a_list_of_one_face_a_thousand_times_is_counted_and_not_remembered() -> None:
    entries = [entry(n, n, at(0)) for n in range(300)]
    with mock.patch.multiple(twins, MOST_PAIRS=50, _ROWS=64, _COLUMNS=64):
        found = resemblances(entries, ALIKE, 0.5, silent)
    assert len(found.pairs) == 50
    assert found.in_all == 300 * 299 // 2


def test_progress_is_told_to_the_end() -> None:
    told: list[tuple[int, int]] = []
    with mock.patch.multiple(twins, _ROWS=2):
        resemblances([entry(n, n, at(n)) for n in range(5)], ALIKE, 0.5, lambda done, total: told.append((done, total)))
    assert told == [(2, 5), (4, 5), (5, 5)]
