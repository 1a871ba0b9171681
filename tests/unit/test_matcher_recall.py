"""What is promised of an index: a bound that holds, measured with copies that are as hard as the threshold allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from overt.matcher.recall import Copies, Recall, degraded, lower_bound, most_misses
from overt.matcher.rows import Rows
from tests.support import messages as make
from tests.support.messages import SPACE, unit

DIMENSION = 32


def rows(count: int, images: int = 1) -> Rows:
    made = Rows(SPACE)
    made.apply(
        [
            make.entry(entry_id=f"e{n}", subject_id=f"S{n // images}", vector=unit(n, DIMENSION), valid_from_us=n)
            for n in range(count)
        ],
        [],
    )
    return made


@given(st.integers(1, 6000), st.integers(0, 50))
def test_the_bound_is_clopper_and_pearsons(tried: int, misses: int) -> None:
    found = max(0, tried - misses)
    wanted = binomtest(found, tried, alternative="greater").proportion_ci(0.95, "exact").low
    assert lower_bound(found, tried) == pytest.approx(wanted, abs=1e-9)
    wanted = binomtest(found, tried, alternative="less").proportion_ci(0.95, "exact").high
    assert Recall(found, tried, 64).upper == pytest.approx(wanted, abs=1e-9)


def test_three_thousand_copies_allow_no_miss_and_five_thousand_one() -> None:
    assert [most_misses(n, 0.999) for n in (0, 1, 2990, 3000, 5000)] == [-1, -1, -1, 0, 1]
    assert Recall(3000, 3000, 64).lower >= 0.999 > Recall(4998, 5000, 64).lower
    assert (Recall(0, 0, 64).share, Recall(0, 0, 64).lower) == (0, 0)


@pytest.mark.parametrize("threshold", [0.45, 0.93])
def test_copies_lie_evenly_between_the_threshold_and_three_quarters_of_the_way_to_one(threshold: float) -> None:
    made = rows(200)
    numbers = list(range(200)) * 5
    copies = degraded(made, numbers, threshold, np.random.default_rng(1))
    cosines = np.array([copy @ made.vector(row) for copy, row in zip(copies, numbers, strict=True)])
    assert np.linalg.norm(copies, axis=1) == pytest.approx(1, abs=1e-5)
    top = 1 - (1 - threshold) / 4
    assert cosines.min() >= threshold - 1e-5
    assert cosines.max() <= top + 1e-5
    assert np.quantile(cosines, [0.25, 0.5, 0.75]) == pytest.approx(
        threshold + (top - threshold) * np.array([0.25, 0.5, 0.75]), abs=0.05 * (top - threshold)
    )


def test_every_entry_takes_its_turn_and_comes_again_where_they_are_few() -> None:
    copies = Copies()
    copies.draw(rows(10), 100, 0.9, np.random.default_rng(1))
    drawn = [entry.entry_id for batch in copies.entries for entry in batch]
    assert 100 <= len(drawn) == len(copies)
    assert {drawn.count(f"e{n}") for n in range(10)} <= set(range(9, 13))
    assert [at_us.tolist() for at_us in copies.at_us] == [[int(e.entry_id[1:]) for e in b] for b in copies.entries]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_smallest_lists_have_copies_too(count: int) -> None:
    copies = Copies()
    copies.draw(rows(count), 20, 0.9, np.random.default_rng(1))
    assert len(copies) >= (20 if count else 0)
    assert len(copies) == sum(map(len, copies.probes))


def test_copies_of_who_is_removed_are_overwritten_and_count_no_more() -> None:
    made, copies = rows(10), Copies()
    copies.draw(made, 40, 0.9, np.random.default_rng(1))
    made.apply([], ["e3"])
    copies.wipe_gone(made)
    for probes, entries in zip(copies.probes, copies.entries, strict=True):
        for probe, entry in zip(probes, entries, strict=True):
            assert probe.any() == (entry.entry_id != "e3")
    copies.wipe()
    assert not any(probes.any() for probes in copies.probes)
