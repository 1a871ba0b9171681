"""The guard pauses a site whose false alerts leave their bound, with the error rates that its documentation states."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overt.messages import GuardState
from overt.statistics.guard import Bound, Minute, Weighed, weigh
from overt.statistics.pause import resumed, watch
from overt.statistics.progress import Progress, Standing
from tests.support import messages as make

BOUND = Bound(ceiling=0.001, detectable=2.0, alpha=0.05, beta=0.1)
MINUTE_US = 60_000_000
PASSES = 20
"""In a minute."""
DAY = 20_000
"""Passes of a long deployment."""


def minutes_of(rows: Sequence[tuple[int, int, int]]) -> list[Minute]:
    return [Minute(number * MINUTE_US, *row) for number, row in enumerate(rows)]


ROWS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.integers(0, 1)), max_size=40)


def test_error_rates_and_sample_sizes_are_what_is_stated() -> None:
    """docs/statistics.md says the same figures. One run: from the beginning to either bound."""
    paused, passes = runs(BOUND, 0.001, seed=20260514)
    assert paused <= BOUND.alpha / (1 - BOUND.beta)
    assert passes == pytest.approx(6_700, rel=0.05)
    paused, passes = runs(BOUND, 0.002, seed=20260514)
    assert 1 - paused <= BOUND.beta / (1 - BOUND.alpha)
    assert passes == pytest.approx(6_800, rel=0.05)


def runs(bound: Bound, rate: float, seed: int, count: int = 3_000) -> tuple[float, float]:
    """Share of single runs of the test that end with a pause, and their mean number of passes."""
    chance = np.random.default_rng(seed)
    evidence, length = np.zeros(count), np.zeros(count)
    going, paused = np.ones(count, bool), np.zeros(count, bool)
    step = np.array([bound.evidence(PASSES, false) for false in range(PASSES + 1)])
    while going.any():
        false = chance.binomial(PASSES, rate, count)
        evidence[going] += step[false[going]]
        length[going] += PASSES
        paused |= going & (evidence >= bound.upper)
        going &= (evidence < bound.upper) & (evidence > bound.lower)
    return float(paused.mean()), float(length.mean())


def paused_within_a_day(rate: float, seed: int, count: int = 300) -> float:
    """Share of deployments of 20,000 passes that the guard pauses, with as many runs of the test as it takes."""
    chance = np.random.default_rng(seed)
    found = 0
    for _ in range(count):
        false = chance.binomial(PASSES, rate, DAY // PASSES)
        found += weigh(BOUND, minutes_of([(PASSES, int(n), 0) for n in false]), 0).left_bound
    return found / count


def test_a_site_well_within_its_bound_goes_on_and_one_that_is_bad_is_paused() -> None:
    """The operating characteristic of a whole deployment, as docs/statistics.md has it."""
    shares = {rate: paused_within_a_day(rate, seed=7) for rate in (0.0001, 0.0005, 0.001, 0.002, 0.005)}
    assert shares[0.0001] == 0.0
    assert shares[0.0005] <= 0.01
    assert shares[0.001] == pytest.approx(0.11, abs=0.05)
    assert shares[0.002] >= 0.93
    assert shares[0.005] == 1.0


def test_five_false_alerts_among_a_few_hundred_passes_pause_and_four_do_not() -> None:
    assert weigh(BOUND, minutes_of([(500, 5, 0)]), 0).left_bound
    assert not weigh(BOUND, minutes_of([(500, 4, 0)]), 0).left_bound


def test_a_long_good_time_does_not_make_it_slow() -> None:
    """Wald's lower bound begins the test again, so that a good morning is no credit for the afternoon."""
    good, bad = [(100, 0, 0)] * 500, [(100, 1, 0)] * 10
    assert weigh(BOUND, minutes_of([*good, *bad]), 0).left_bound


@given(ROWS)
def test_judging_nothing_never_brings_passes_to_a_sites_credit(rows: list[tuple[int, int, int]]) -> None:
    """Passes count up to the first alert that nobody has judged, false alerts everywhere."""
    minutes = minutes_of(rows)
    judged = weigh(BOUND, [replace(m, unjudged_alerts=0) for m in minutes], 0)
    first = next((i for i, m in enumerate(minutes) if m.unjudged_alerts), len(minutes))
    with_unjudged = weigh(BOUND, minutes, 0)
    assert with_unjudged.passes <= sum(m.passes for m in minutes[:first])
    if not judged.left_bound and not with_unjudged.left_bound:
        assert with_unjudged.false_alerts == sum(m.false_alerts for m in minutes)


@given(ROWS, st.integers(0, 40))
def test_what_came_before_it_was_resumed_is_not_weighed(rows: list[tuple[int, int, int]], after: int) -> None:
    minutes = minutes_of(rows)
    assert weigh(BOUND, minutes, after * MINUTE_US) == weigh(BOUND, minutes[after:], after * MINUTE_US)


def test_nothing_weighed_is_no_evidence() -> None:
    assert weigh(BOUND, [], 5) == Weighed(False, 0.0, 0, 0, 5)


def test_a_site_is_paused_once_stays_so_and_begins_anew_when_resumed() -> None:
    minutes = minutes_of([(100, 6, 0)])
    _, pause = watch("d1", "s1", BOUND, None, minutes, 77)
    assert pause is not None
    assert (pause.state, pause.at_us, pause.passes, pause.false_alerts) == (GuardState.PAUSED, 77, 100, 6)
    assert "6 false alerts among 100 passes" in pause.reason
    better = [*minutes, *minutes_of([(0, 0, 0), (10_000, 0, 0)])[1:]]
    assert watch("d1", "s1", BOUND, pause, better, 78) == (None, None)
    weighed, again = watch("d1", "s1", BOUND, resumed(pause, "somebody", "why", 79), better, 80)
    assert again is None
    assert weighed is not None
    assert (weighed.passes, weighed.false_alerts) == (10_000, 0)


def test_the_guards_own_pause_is_in_the_vocabulary_of_the_bus() -> None:
    assert make.site_guard().key == "d1"


# Progress, from outside


def test_who_commits_gets_on_and_who_does_not_is_stuck_since_then() -> None:
    progress, place = Progress(), ("passes", 0)
    assert progress.observe({place: Standing(5, 9)}, 0.0) == 0.0
    assert progress.observe({place: Standing(6, 9)}, 10.0) == 0.0
    assert progress.observe({place: Standing(6, 12)}, 25.0) == 15.0
    assert progress.observe({place: Standing(12, 12)}, 40.0) == 0.0


def test_where_nothing_waits_nobody_is_stuck() -> None:
    progress = Progress()
    assert [progress.observe({("t", 0): Standing(7, 7)}, now) for now in (0.0, 100.0)] == [0.0, 0.0]
    assert progress.observe({("t", 0): Standing(7, 8)}, 101.0) == 0.0
    assert Standing(9, 7).waiting == 0


def test_a_broker_that_is_away_excuses_and_another_partition_does_not() -> None:
    progress, one, two = Progress(), ("t", 0), ("t", 1)
    progress.observe({one: Standing(1, 2), two: Standing(1, 2)}, 0.0)
    assert progress.observe({one: Standing(1, 2), two: Standing(2, 2)}, 9.0) == 9.0
    progress.excuse()
    assert progress.observe({one: Standing(1, 2)}, 50.0) == 0.0


@given(st.randoms(use_true_random=False))
def test_somebody_who_gets_on_between_any_two_looks_is_never_stuck(chance: random.Random) -> None:
    progress, committed = Progress(), 0
    for number in range(20):
        committed += chance.randint(1, 5)
        assert progress.observe({("t", 0): Standing(committed, committed + 9)}, number * 1e3) == 0.0
