"""Rates, their intervals, and differences between them, against scipy's own tests, brute force and printed cases."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from overt.evaluation.differences import fisher, holm, newcombe, smallest_detectable
from overt.evaluation.estimate import Bootstrap, estimate, person_weights, resampled
from overt.evaluation.intervals import Interval, Rate, clopper_pearson_columns
from overt.evaluation.planner import claimable, passes_needed, plans
from overt.evaluation.unmeasurable import CannotMeasure, NotMeasurable
from overt.evaluation.wording import claim_in_words, one_in, percent, rate_in_words, value_in_words

rates = st.one_of(st.integers(1, 60), st.integers(61, 400)).flatmap(
    lambda n: st.builds(Rate, st.integers(0, n), st.just(n))
)


@given(rates, st.sampled_from([0.9, 0.95, 0.99]))
@settings(max_examples=60, deadline=None)
def test_the_interval_is_that_of_scipys_binomial_test(rate: Rate, level: float) -> None:
    expected = stats.binomtest(rate.count, rate.trials).proportion_ci(level, "exact")
    found = rate.clopper_pearson(level)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    one_sided = stats.binomtest(rate.count, rate.trials, alternative="less").proportion_ci(level, "exact")
    assert rate.at_most(level) == pytest.approx(one_sided.high, abs=1e-9)
    assert rate.at_least(level) == pytest.approx(1 - rate.complement.at_most(level), abs=1e-9)


@given(rates)
@settings(deadline=None)
def test_a_rate_lies_in_its_interval_and_under_its_claim(rate: Rate) -> None:
    assert rate.value in rate.clopper_pearson()
    assert rate.at_least() <= rate.value <= rate.at_most() <= rate.clopper_pearson().high


@given(rates.filter(lambda rate: rate.trials <= 60))
@settings(max_examples=20, deadline=None)
def test_the_upper_bound_makes_so_few_errors_just_as_unlikely_as_it_says(rate: Rate) -> None:
    """The definition, summed by hand in exact arithmetic but for the bound itself."""
    p = Fraction(rate.at_most())
    seen = sum(math.comb(rate.trials, k) * p**k * (1 - p) ** (rate.trials - k) for k in range(rate.count + 1))
    assert float(seen) == pytest.approx(1.0 if rate.count == rate.trials else 0.05, abs=1e-7)


def test_the_columns_are_the_rates_one_by_one() -> None:
    counts = np.array([0.0, 1, 5, 19, 20])
    low, high = clopper_pearson_columns(counts, np.full(5, 20.0))
    for count, *bounds in zip(counts, low, high, strict=True):
        interval = Rate(int(count), 20).clopper_pearson()
        assert bounds == pytest.approx([interval.low, interval.high])


def test_no_error_in_812_trials_is_at_most_0_37_percent() -> None:
    """The rule of three."""
    assert Rate(0, 812).at_most() == pytest.approx(1 - 0.05 ** (1 / 812))
    assert Rate(0, 812).at_most() == pytest.approx(3 / 812, rel=0.005)
    assert rate_in_words(Rate(0, 812)) == "none in 812: at most 0.37 % at 95 %"


def test_what_is_no_rate_is_refused_and_no_trials_tell_nothing() -> None:
    for count, trials in ((-1, 4), (5, 4)):
        with pytest.raises(CannotMeasure, match="no rate"):
            Rate(count, trials)
    with pytest.raises(CannotMeasure, match="confidence"):
        Rate(1, 2).clopper_pearson(1.0)
    assert not Rate(0, 0).measurable
    assert math.isnan(Rate(0, 0).value)
    assert (Rate(0, 0).clopper_pearson().low, Rate(0, 0).at_most()) == (0, 1)
    assert rate_in_words(Rate(0, 0)) == "not measurable here: there were no trials"


def test_newcombe_s_own_example() -> None:
    """56/70 against 48/80, Newcombe 1998, table II, method 10: 0.0524 to 0.3339."""
    found = newcombe(Rate(56, 70), Rate(48, 80))
    assert isinstance(found, Interval)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@given(rates, rates)
@settings(max_examples=60, deadline=None)
def test_differences_turn_round_and_fisher_is_the_sum_of_the_tables_no_likelier(a: Rate, b: Rate) -> None:
    there, back = newcombe(a, b), newcombe(b, a)
    assert isinstance(there, Interval)
    assert isinstance(back, Interval)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert a.value - b.value in Interval(there.low - 1e-12, there.high + 1e-12)
    errors, n = a.count + b.count, a.trials + b.trials
    ways = {
        k: math.comb(a.trials, k) * math.comb(b.trials, errors - k)
        for k in range(max(0, errors - b.trials), min(errors, a.trials) + 1)
    }
    as_unlikely = sum(way for way in ways.values() if way <= ways[a.count] * (1 + 1e-9))
    assert fisher(a, b) == pytest.approx(float(Fraction(as_unlikely, math.comb(n, errors))), abs=1e-9)


def test_a_difference_needs_trials_on_both_sides() -> None:
    for answer in (newcombe(Rate(0, 0), Rate(1, 2)), fisher(Rate(1, 2), Rate(0, 0)), smallest_detectable(0.1, 0, 9)):
        assert str(answer) == "not measurable here: one of the two has no trials"


def test_holm_by_hand() -> None:
    corrected = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert corrected == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert list(corrected) == ["a", "b", "c", "d"]
    assert holm({}) == {}
    with pytest.raises(CannotMeasure, match="no probability"):
        holm({"a": math.nan})


def test_a_sample_shows_the_difference_it_says_it_would_with_the_power_it_says() -> None:
    """Drawn again and again, a two-sided test of the arcsine difference finds it in 80 % of all cases."""
    base, n, m = 0.05, 900, 500
    more = smallest_detectable(base, n, m)
    assert isinstance(more, float)
    rng = np.random.default_rng(5)
    angles = [
        2 * np.arcsin(np.sqrt(rng.binomial(trials, rate, 20_000) / trials))
        for trials, rate in ((n, base), (m, base + more))
    ]
    z = (angles[1] - angles[0]) / math.sqrt(1 / n + 1 / m)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.02)


def test_seven_errors_are_no_equity() -> None:
    """Two groups of 100 would have had to differ by more than 7 points to be told apart."""
    least = smallest_detectable(0.03, 100, 100)
    assert isinstance(least, float)
    assert 0.07 < least < 0.12
    assert isinstance(smallest_detectable(0.5, 2, 2), NotMeasurable)


def test_by_person_equals_by_hand_where_a_person_counts_whole() -> None:
    """People who always or never succeed: the bootstrap of people is that of the share of people."""
    success = np.repeat([True] * 30 + [False] * 70, 4)
    person = np.repeat(np.arange(100).astype(np.str_), 4)
    found = estimate(success, person, Bootstrap(resamples=4000))
    assert found.by_person is not None
    low, high = (stats.binom.ppf(share, 100, 0.3) / 100 for share in (0.025, 0.975))
    assert (found.by_person.low, found.by_person.high) == pytest.approx((low, high), abs=0.011)
    assert found.independent.low > found.by_person.low
    assert found.independent.high < found.by_person.high
    assert found.effective == Rate(30, 100)
    exact = found.effective.clopper_pearson()
    assert (found.interval.low, found.interval.high) == pytest.approx((exact.low, exact.high), abs=0.006)


def test_one_of_many_who_always_errs_is_one_error_of_people() -> None:
    """One of 200 people, each searched for five times: as one in 200, which a bootstrap alone does not say."""
    success = np.repeat(np.arange(200) == 7, 5)
    found = estimate(success, np.repeat(np.arange(200), 5).astype(np.str_))
    exact = Rate(1, 200).clopper_pearson()
    assert found.by_person is not None
    assert found.by_person.high < 0.8 * exact.high
    assert found.interval.high == pytest.approx(exact.high, rel=0.1)
    assert found.at_most == pytest.approx(Rate(1, 200).at_most(), rel=0.1)


def test_the_interval_by_person_holds_the_truth_as_often_as_it_says() -> None:
    """People of whom each errs in a share of their own (beta-distributed), four searches each, drawn 300 times."""
    rng = np.random.default_rng(8)
    person = np.repeat(np.arange(60), 4).astype(np.str_)
    held = independent = 0
    for _ in range(300):
        success = rng.random(240) < np.repeat(rng.beta(0.1, 0.9, 60), 4)
        if success.any():
            found = estimate(success, person, Bootstrap(300))
            held += 0.1 in found.interval
            independent += 0.1 in found.independent
    assert held >= 0.93 * 300
    assert independent < held, "as if searches were independent it is missed more often"


def test_resampling_people_is_resampling_them_one_by_one() -> None:
    """Classes of people who are alike give the distribution that drawing each person gives."""
    rng = np.random.default_rng(3)
    successes, trials = rng.integers(0, 4, (40, 1)).astype(np.float64), np.full(40, 3.0)
    classes = resampled(successes, trials, Bootstrap(4000, seed=1))[:, 0]
    drawn = np.concatenate(list(person_weights(40, Bootstrap(4000, seed=2))))
    assert (drawn.sum(axis=1) == 40).all()
    singly = drawn @ successes[:, 0] / (drawn @ trials)
    at = [0.025, 0.25, 0.5, 0.75, 0.975]
    assert np.quantile(classes, at) == pytest.approx(np.quantile(singly, at), abs=0.012)


def test_each_another_person_is_clopper_pearson_and_repeats_are_never_narrower() -> None:
    success = np.array([True] * 8 + [False] * 32)
    alone = estimate(success, np.arange(40).astype(np.str_))
    assert alone.by_person is None
    assert alone.interval == alone.independent == Rate(8, 40).clopper_pearson()
    repeated = estimate(success, np.repeat(np.arange(10), 4).astype(np.str_))
    assert repeated.interval.low <= alone.interval.low
    assert repeated.interval.high >= alone.interval.high
    assert repeated.at_most >= alone.at_most
    assert repeated.value in repeated.interval


def test_where_nothing_varies_the_trials_are_people() -> None:
    """A thousand searches of ten people without an error carry what ten carry."""
    person = np.repeat(np.arange(10), 100).astype(np.str_)
    never = estimate(np.zeros(1000, bool), person)
    assert never.at_most == pytest.approx(Rate(0, 10).at_most())
    assert never.interval.high == pytest.approx(Rate(0, 10).clopper_pearson().high)
    always = estimate(np.ones(1000, bool), person)
    assert always.interval.low == pytest.approx(Rate(10, 10).clopper_pearson().low)
    assert rate_in_words(never) == "none in 1,000 of 10 people: at most 25.9 % at 95 %"


def test_one_person_tells_nothing_of_people() -> None:
    one = estimate([True, False, True], ["a", "a", "a"])
    assert (one.interval.low, one.interval.high, one.interval.method) == (0, 1, "one person")
    with pytest.raises(CannotMeasure, match="no trials"):
        estimate([], [])
    with pytest.raises(CannotMeasure, match="one length"):
        estimate([True], ["a", "b"])


def test_the_same_seed_gives_the_same_interval_in_any_order_of_searches() -> None:
    rng = np.random.default_rng(0)
    success, person = rng.random(300) < 0.3, rng.integers(0, 60, 300).astype(np.str_)
    order = rng.permutation(300)
    assert estimate(success, person) == estimate(success[order], person[order])


def test_the_opposite_mirrors_everything() -> None:
    tpir = estimate([True] * 9 + [False], [str(n // 2) for n in range(10)])
    fnir = tpir.complement
    assert fnir.rate == Rate(1, 10)
    assert (fnir.interval.low, fnir.interval.high) == pytest.approx((1 - tpir.interval.high, 1 - tpir.interval.low))
    assert fnir.at_most == pytest.approx(1 - tpir.at_least)
    assert fnir.value in fnir.interval


@pytest.mark.parametrize(("fpir", "errors"), [(0.01, 0), (0.01, 1), (0.001, 3), (0.2, 10), (1e-5, 2)])
def test_the_planner_names_the_first_number_of_passes_that_carries_the_claim(fpir: float, errors: int) -> None:
    passes = passes_needed(fpir, errors)
    assert claimable(passes, errors) <= fpir < claimable(passes - 1, errors)


def test_a_claim_of_one_in_a_hundred_thousand_needs_three_hundred_thousand_passes() -> None:
    assert passes_needed(1e-5) == 299_572
    assert [plan.passes for plan in plans(0.01)] == [299, 473, 773, 1693]
    assert claimable(0) == 1
    with pytest.raises(CannotMeasure, match="0 < FPIR < 1"):
        passes_needed(0.0)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.5, "50.0 %"),
        (0.00369, "0.37 %"),
        (0.951, "95.1 %"),
        (0.99963, "99.963 %"),
        (1.0, "100 %"),
        (0.0, "0 %"),
        (1e-8, "0.0000010 %"),
        (1e-12, "under 0.00000001 %"),
        (1 - 1e-12, "over 99.9999 %"),
    ],
)
def test_a_percentage_has_the_digits_that_tell_something(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("share", "text"), [(1 / 270, "1 in 270"), (1 / 8765, "1 in 8,700"), (0.3, "1 in 3"), (0.001, "1 in 1,000")]
)
def test_odds_are_never_rounded_to_rarer(share: float, text: str) -> None:
    assert one_in(share) == text


def test_a_claim_says_what_the_sample_carries() -> None:
    assert claim_in_words(Rate(0, 300), 0.01, "FPIR") == (
        "FPIR at most 1.0 % can be claimed at 95 %: 0 in 300, so at most 0.99 %"
    )
    assert claim_in_words(Rate(0, 200), 0.01, "FPIR") == (
        "FPIR at most 1.0 % cannot be claimed at 95 % from 0 in 200: it is at most 1.5 %;"
        " it needs 299 people without a single one"
    )
    repeated = estimate(np.zeros(1000, bool), np.repeat(np.arange(10), 100).astype(np.str_))
    assert "0 in 1,000 of 10 people" in claim_in_words(repeated, 0.01, "FPIR")
    assert claim_in_words(NotMeasurable("nobody passed"), 0.01, "FPIR") == (
        "FPIR at most 1.0 %: not measurable here: nobody passed"
    )
    assert value_in_words(NotMeasurable("nobody passed")) == "not measurable here: nobody passed"
    assert value_in_words(1.23456) == "1.235"
