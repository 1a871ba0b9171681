"""Groups compared, indices of inequity, worst-group thresholds, error against reject."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overt.evaluation.equity import fdr, garbe, gini, inequity_ratio
from overt.evaluation.error_reject import ErrorReject, error_reject, mated_errors
from overt.evaluation.estimate import Bootstrap, Estimate
from overt.evaluation.group_thresholds import worst_group_threshold, worst_group_threshold_fmr
from overt.evaluation.groups import GroupAnswers, compare_groups, compare_groups_fmr, labels_of
from overt.evaluation.intervals import Rate
from overt.evaluation.searches import MatedSearches, NonMatedSearches
from overt.evaluation.unmeasurable import CannotMeasure, NotMeasurable

QUICK = Bootstrap(resamples=200)
NOBODY = NonMatedSearches(np.zeros(0, np.str_), np.zeros(0))
shares = st.lists(st.floats(0, 1), min_size=2, max_size=8)


@given(shares)
def test_gini_is_the_mean_difference_over_twice_the_mean(values: list[float]) -> None:
    """Over all pairs, as the paper writes it, with its correction."""
    n, mean = len(values), sum(values) / len(values)
    if mean < 1e-9:
        return
    pairs = sum(abs(a - b) for a in values for b in values) / (2 * n * n * mean)
    assert gini(values) == pytest.approx(pairs * n / (n - 1), abs=1e-9)
    assert -1e-12 <= gini(values) <= 1 + 1e-12


def test_gini_at_its_ends() -> None:
    assert gini([0.2, 0.2, 0.2]) == pytest.approx(0)
    assert gini([0.0, 0.0, 0.3]) == pytest.approx(1)
    assert gini([0.0, 0.0]) == 0
    for nonsense in ([0.1], [0.1, -0.2], [0.1, math.nan]):
        with pytest.raises(CannotMeasure, match="Gini"):
            gini(nonsense)


def test_indices_by_hand() -> None:
    positives = {"a": Rate(1, 100), "b": Rate(4, 100)}
    negatives = {"a": Rate(10, 100), "b": Rate(20, 100)}
    assert inequity_ratio(positives) == pytest.approx(0.04 / 0.02)
    assert fdr(positives, negatives) == pytest.approx(1 - (0.5 * 0.03 + 0.5 * 0.10))
    assert garbe(positives, negatives, alpha=0.25) == pytest.approx(0.25 * 0.03 / 0.05 + 0.75 * 0.1 / 0.3)
    with pytest.raises(CannotMeasure, match="alpha"):
        fdr(positives, negatives, alpha=2)


def test_indices_that_cannot_be_told_say_why() -> None:
    none = {"a": Rate(0, 50), "b": Rate(2, 50)}
    assert str(inequity_ratio(none)) == (
        "not measurable here: no error was seen of a in 50 trials, and a ratio to none is none"
    )
    assert isinstance(inequity_ratio({"a": Rate(1, 2), "b": Rate(0, 0)}), NotMeasurable)
    assert str(garbe(none, {})) == "not measurable here: it needs false negatives of two groups or more"


def by_group(seed: int = 0) -> GroupAnswers:
    """Group x is recognised half as often as y; ten searches bear no label."""
    rng = np.random.default_rng(seed)
    person = np.array([f"p{number}" for number in range(410)])
    group_of = {name: "x" if number < 200 else "y" for number, name in enumerate(person.tolist()) if number < 400}
    mate = np.where(np.arange(410) < 200, rng.uniform(0, 1, 410), rng.uniform(0.5, 1, 410))
    mated = MatedSearches(person, mate, np.zeros(410))
    non_mated = NonMatedSearches(np.char.add("n", person), np.full(410, 0.1))
    groups = labels_of(person, group_of)
    return compare_groups("made", mated, groups, non_mated, groups, 0.5, QUICK)


def test_each_group_is_counted_alone_and_missing_labels_in_none() -> None:
    answers = by_group()
    x, y = answers.groups
    assert (x.group, x.people, y.group, y.people, answers.unlabelled) == ("x", 400, "y", 400, 20)
    assert isinstance(x.fnir, Estimate)
    assert isinstance(y.fnir, Estimate)
    assert x.fnir.rate.trials == 200
    assert 0.4 < x.fnir.value < 0.6
    assert y.fnir.value == 0
    assert isinstance(x.fmr, NotMeasurable)


def test_a_difference_that_is_there_is_seen_and_one_that_is_not_tells_what_would_have_been() -> None:
    differences = {difference.error: difference for difference in by_group().differences}
    assert set(differences) == {"fnir", "fpir", "fta"}
    there, absent = differences["fnir"], differences["fpir"]
    assert there.significant
    assert there.difference in there.interval
    assert there.interval.low > 0.3
    assert not absent.significant
    assert absent.p_holm == 1
    assert isinstance(absent.smallest_detectable, float)
    assert 0.01 < absent.smallest_detectable < 0.03


def test_three_groups_are_corrected_over_three_pairs() -> None:
    person = np.array([f"p{number}" for number in range(90)])
    groups = np.repeat(["a", "b", "c"], 30)
    mate = np.where(groups == "a", np.tile([0.9, 0.1], 45), 0.9)
    answers = compare_groups(
        "g",
        MatedSearches(person, mate, np.zeros(90)),
        groups,
        NOBODY,
        groups[:0],
        0.5,
    )
    fnir = [d for d in answers.differences if d.error == "fnir"]
    assert [(d.a, d.b) for d in fnir] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert fnir[0].p_holm == pytest.approx(3 * fnir[0].p)
    assert not [d for d in answers.differences if d.error == "fpir"], "nobody unlisted passed"
    assert isinstance(answers.fdr, NotMeasurable)


def test_a_person_seen_often_counts_once_in_a_test_of_difference() -> None:
    """Two of four people missed in each of fifty searches is no significant difference from none of four."""
    person = np.repeat([f"p{number}" for number in range(8)], 50)
    groups = np.repeat(["a", "b"], 200)
    mate = np.where(np.isin(person, ["p0", "p1"]), 0.1, 0.9)
    answers = compare_groups(
        "g",
        MatedSearches(person, mate, np.zeros(400)),
        groups,
        NOBODY,
        groups[:0],
        0.5,
    )
    fnir = next(d for d in answers.differences if d.error == "fnir")
    assert fnir.difference == 0.5
    assert fnir.p == pytest.approx(3 / 7)
    with pytest.raises(CannotMeasure, match="labels"):
        compare_groups("g", MatedSearches(person, mate, mate * 0), groups[1:], NOBODY, groups[:0], 0.5)


def test_without_identities_only_fmr_is_told() -> None:
    rng = np.random.default_rng(0)
    matrices = {name: _matrix(rng, size, pull) for name, size, pull in (("a", 40, 0.0), ("b", 40, 1.2), ("c", 1, 0.0))}
    answers = compare_groups_fmr("ethnicity", matrices, 0.7, QUICK)
    a, b, c = answers.groups
    assert isinstance(a.fmr, Estimate)
    assert isinstance(b.fmr, Estimate)
    assert b.fmr.value > a.fmr.value
    assert str(a.fnir).startswith("not measurable here: the images have no identities")
    assert str(c.fmr) == "not measurable here: a pair needs two images"
    assert isinstance(answers.garbe, NotMeasurable)
    assert isinstance(answers.inequity["fmr"], float)


def _matrix(rng: np.random.Generator, size: int, pull: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Similarities of random directions; the more pull, the more alike."""
    vectors = rng.normal(size=(size, 8)) + np.eye(8)[0] * pull
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors @ vectors.T, np.float64)


def searched(tops: np.ndarray[tuple[int], np.dtype[np.float64]]) -> NonMatedSearches:
    return NonMatedSearches(np.arange(len(tops)).astype(np.str_), tops)


def test_the_worst_group_sets_the_threshold() -> None:
    rng = np.random.default_rng(0)
    groups = {"a": searched(rng.normal(0.2, 0.1, 900)), "b": searched(rng.normal(0.3, 0.1, 900))}
    advice = worst_group_threshold(groups, 0.05, QUICK)
    assert advice.worst == advice.worst_by_upper_bound == "b"
    assert advice.by_estimate == advice.each["b"]
    assert isinstance(advice.by_estimate, float)
    assert isinstance(advice.by_upper_bound, float)
    assert advice.by_upper_bound > advice.by_estimate
    for searches in groups.values():
        scores = searches.top
        assert np.mean(scores >= advice.by_estimate) <= 0.05
        assert Rate(int((scores >= advice.by_upper_bound).sum()), 900).at_most() <= 0.05
    lower = np.max(groups["b"].top[groups["b"].top < advice.by_upper_bound])
    assert Rate(int((groups["b"].top >= lower).sum()), 900).at_most() > 0.05, "it is the lowest"


def test_a_group_that_is_too_small_leaves_the_threshold_untold() -> None:
    groups = {"a": searched(np.linspace(0, 1, 900)), "few": searched(np.linspace(0, 1, 30))}
    advice = worst_group_threshold(groups, 0.01)
    assert advice.worst == "few"
    assert str(advice.by_estimate).startswith("not measurable here: few: FPIR 1 % needs at least 100")
    assert str(advice.by_upper_bound) == (
        "not measurable here: few: it needs at least 299 independent trials of each group; here are 30"
    )
    assert isinstance(advice.each["a"], float)
    assert isinstance(worst_group_threshold({}, 0.01).by_estimate, NotMeasurable)


def test_the_worst_group_of_pairs() -> None:
    rng = np.random.default_rng(1)
    matrices = {"a": _matrix(rng, 70, 0.0), "b": _matrix(rng, 70, 1.0)}
    advice = worst_group_threshold_fmr(matrices, 0.1, QUICK)
    assert advice.worst == "b"
    assert isinstance(advice.by_estimate, float)
    assert isinstance(advice.by_upper_bound, float)
    assert advice.by_upper_bound > advice.by_estimate


def curve_by_hand(quality: list[float], error: list[bool]) -> list[tuple[float, float]]:
    """Rejects level by level and counts anew what is left."""
    points = []
    for level in sorted(set(quality)):
        left = [wrong for value, wrong in zip(quality, error, strict=True) if value >= level]
        points.append((1 - len(left) / len(quality), sum(left) / len(left)))
    return points


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.9]), st.booleans()), min_size=1, max_size=40))
def test_error_against_reject_counts_what_is_left(comparisons: list[tuple[float, bool]]) -> None:
    quality, error = map(list, zip(*comparisons, strict=True))
    curve = error_reject(np.array(quality), np.array(error))
    assert isinstance(curve, ErrorReject)
    assert list(zip(curve.rejected, curve.error, strict=True)) == [
        pytest.approx(point) for point in curve_by_hand(quality, error)
    ]


def test_a_quality_that_knows_the_errors_gains_all_and_a_constant_one_nothing() -> None:
    error = np.array([True] * 50 + [False] * 950)
    knows = error_reject(np.arange(1000.0), error)
    says_nothing = error_reject(np.ones(1000), error)
    misleads = error_reject(-np.arange(1000.0), error)
    assert isinstance(knows, ErrorReject)
    assert isinstance(says_nothing, ErrorReject)
    assert isinstance(misleads, ErrorReject)
    assert knows.gain() == pytest.approx(1, abs=0.02)
    assert says_nothing.gain() == pytest.approx(0)
    assert says_nothing.area() == pytest.approx(0.05)
    misled = misleads.gain()
    assert isinstance(misled, float)
    assert misled < 0
    assert knows.area() < says_nothing.area() < misleads.area()
    with pytest.raises(CannotMeasure, match="area"):
        knows.area(0)


def test_the_area_by_hand() -> None:
    """A quarter of the comparisons is wrong until a quarter is rejected, none after."""
    curve = error_reject(np.array([0.1, 0.5, 0.5, 0.9]), np.array([True, False, False, False]))
    assert isinstance(curve, ErrorReject)
    assert curve.area(0.4) == pytest.approx(0.25 * 0.25 / 0.4)
    assert curve.area(0.1) == pytest.approx(0.25)


def test_random_quality_gains_nothing_on_average() -> None:
    rng = np.random.default_rng(0)
    error = rng.random(2000) < 0.1
    gains = []
    for _ in range(30):
        curve = error_reject(rng.random(2000), error)
        assert isinstance(curve, ErrorReject)
        gains.append(curve.gain())
    assert all(isinstance(gain, float) for gain in gains)
    assert np.mean([gain for gain in gains if isinstance(gain, float)]) == pytest.approx(0, abs=0.05)


def test_qualities_that_are_none_are_answered_in_words() -> None:
    with pytest.raises(CannotMeasure, match="quality of comparison 1 is NaN"):
        error_reject(np.array([0.1, math.nan]), np.array([True, False]))
    with pytest.raises(CannotMeasure, match="one length"):
        error_reject(np.array([0.1]), np.array([True, False]))
    assert isinstance(error_reject(np.array([]), np.array([], bool)), NotMeasurable)
    perfect = error_reject(np.array([0.1, 0.2]), np.array([False, False]))
    assert isinstance(perfect, ErrorReject)
    assert str(perfect.gain()) == "not measurable here: no comparison went wrong, so no order is better"
    assert mated_errors(np.array([0.4, 0.5, math.nan]), 0.5).tolist() == [True, False, True]


def test_groups_do_not_depend_on_the_order_of_searches() -> None:
    rng = np.random.default_rng(0)
    person, groups = np.array([f"p{n}" for n in range(60)]), np.array(list(itertools.islice(itertools.cycle("ab"), 60)))
    mate, top = rng.random(60), rng.random(60)
    order = rng.permutation(60)

    def answers(at: np.ndarray[tuple[int], np.dtype[np.int64]]) -> GroupAnswers:
        mated = MatedSearches(person[at], mate[at], np.zeros(60))
        return compare_groups("g", mated, groups[at], NonMatedSearches(person[at], top[at]), groups[at], 0.5, QUICK)

    assert answers(order) == answers(np.arange(60))
