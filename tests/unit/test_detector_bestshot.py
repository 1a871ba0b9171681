"""Best shot: the first at once, then better ones, few in all, one kept for the nearest; who stays, now and then."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.detector.bestshot import ShotPolicy, looked, send, sent, worth_a_look
from overt.detector.state import Shots

POLICY = ShotPolicy()


def run(
    qualities: Sequence[float], fps: float, policy: ShotPolicy = POLICY, leaving: Callable[[int], bool] | None = None
) -> tuple[list[tuple[int, float]], int]:
    """The crops as (frame, quality), and how many looks were taken, for a face that promises what it is."""
    shots, crops, looks = Shots(), [], 0
    for number, quality in enumerate(qualities):
        clock_us = round(number / fps * 1e6)
        leaves = bool(leaving and leaving(number))
        if not worth_a_look(shots, quality, clock_us=clock_us, leaving=leaves, policy=policy):
            continue
        looks += 1
        if send(shots, quality, clock_us=clock_us, leaving=leaves, policy=policy):
            crops.append((number, quality))
            shots = sent(shots, quality, quality, clock_us=clock_us)
        else:
            shots = looked(shots, quality, clock_us=clock_us)
    return crops, looks


def test_the_first_face_that_may_be_sent_is_sent_at_once() -> None:
    crops, _ = run([0.4, 0.4], 30)
    assert crops[0] == (0, 0.4)


@given(st.lists(st.floats(0, 1), max_size=200), st.sampled_from([1, 5, 12.5, 30, 60]), st.integers(0, 6))
def test_never_more_crops_than_the_budget_before_somebody_stays_nor_closer_than_the_spacing(
    qualities: list[float], fps: float, budget: int
) -> None:
    """The first one over the budget comes when there was none for `stay_us`."""
    crops, _ = run(qualities, fps, ShotPolicy(budget=budget), leaving=lambda n: n % 3 == 0)
    gaps = [(b[0] - a[0]) / fps * 1e6 for a, b in itertools.pairwise(crops)]
    assert all(gap >= POLICY.spacing_us - 1 for gap in gaps)
    assert bool(crops) == bool(qualities and budget)
    assert all(gap >= POLICY.stay_us - 1 for gap in gaps[budget - 1 : budget])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.sampled_from([1, 4, 10]), st.integers(1, 6))
def test_who_stays_is_compared_eight_times_more_in_the_first_minute_and_four_for_each_later_one(
    qualities: list[float], fps: float, budget: int
) -> None:
    """Whatever their faces look like and wherever they move, for seven minutes. A pause may end later than it could:
    a minute with less is followed by one with more."""
    crops, _ = run(
        list(itertools.islice(itertools.cycle(qualities), round(420 * fps))),
        fps,
        ShotPolicy(budget=budget),
        leaving=lambda n: n % 7 == 0,
    )
    for minutes in range(7):
        assert sum(n / fps < 60 * (minutes + 1) for n, _ in crops) <= budget + 8 + 4 * minutes


@given(st.floats(0.1, 1), st.sampled_from([1, 2.5, 10, 30]), st.integers(2, 6))
def test_who_stands_there_is_never_forgotten_and_each_time_compared_often_enough_to_confirm(
    quality: float, fps: float, budget: int
) -> None:
    """By default two matches within 5 s confirm. Three minutes at one quality."""
    crops, _ = run([quality] * round(180 * fps), fps, ShotPolicy(budget=budget))
    times_s = [n / fps for n, _ in crops]
    assert all(b - a < 34 for a, b in itertools.pairwise([*times_s, 180]))
    later = times_s[budget:]
    assert len(later) >= 8
    assert all(b - a < 5 for a, b in zip(later[::2], later[1::2], strict=False))


@given(st.lists(st.floats(0.5, 1), min_size=90, max_size=200))
def test_who_is_in_view_for_three_seconds_with_fair_quality_gives_three_crops(qualities: list[float]) -> None:
    """A confirmation wants several distinct faces. Quality that jumps from frame to frame may delay the third."""
    level = [0.8 + 0.1 * (q - 0.5) for q in qualities]
    crops, _ = run(level, 30)
    assert len(crops) >= 3


@pytest.mark.parametrize("seconds", [1.5, 3.0, 8.0])
@pytest.mark.parametrize("fps", [5, 12.5, 30])
@pytest.mark.parametrize("ends", [0.7, 0.95])
def test_somebody_who_approaches_is_also_sent_near(seconds: float, fps: float, ends: float) -> None:
    """Quality rises from 0.25 to the end, then the face leaves the zone."""
    count = round(seconds * fps)
    qualities = [0.25 + (ends - 0.25) * (n / count) for n in range(count)]
    crops, _ = run(qualities, fps, leaving=lambda n: n >= count - max(1, round(0.3 * fps)))
    assert crops[0][0] == 0
    assert max(q for _, q in crops) >= 0.8 * ends


def test_the_reserve_waits_for_something_much_better() -> None:
    """Four seconds at the same quality use all but the reserve; a much better face then gets it."""
    crops, _ = run([0.5] * 120 + [0.9] * 30, 30)
    assert len([q for _, q in crops if q == 0.5]) == POLICY.budget - 1
    assert crops[-1][1] == 0.9


def test_a_further_crop_is_never_much_worse() -> None:
    crops, _ = run([0.9] + [0.4] * 200, 30)
    assert crops == [(0, 0.9)]


@pytest.mark.parametrize("then", [0.6, 0.3])
def test_looks_that_give_nothing_become_rare(then: float) -> None:
    """Ten minutes in front of the camera, at one quality or turned away: below one look in three seconds."""
    _, looks = run([0.6] * 10 + [then] * (600 * 10), 10)
    assert looks < 600 / 3


def test_a_better_promise_is_looked_at_without_waiting_longer() -> None:
    shots = Shots(crops=1, best=0.4, looks=5, look_at_us=0, promise=0.4)
    soon = POLICY.spacing_us + 1
    assert not worth_a_look(shots, 0.45, clock_us=soon, leaving=False, policy=POLICY)
    assert worth_a_look(shots, 0.7, clock_us=soon, leaving=False, policy=POLICY)
    assert worth_a_look(shots, 0.4, clock_us=soon, leaving=True, policy=POLICY)
