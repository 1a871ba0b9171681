"""Open-set identification, thresholds, DET and list size: cases counted by hand, and the same counted another way."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from overt.evaluation.det import DetCurve, det_curve
from overt.evaluation.estimate import Bootstrap, Estimate
from overt.evaluation.intervals import Rate
from overt.evaluation.listsize import fpir_by_list_size, law
from overt.evaluation.openset import at_rank, at_threshold, identification, threshold_at_fpir
from overt.evaluation.searches import MatedSearches, NonMatedSearches
from overt.evaluation.unmeasurable import CannotMeasure, NotMeasurable
from overt.evaluation.verification import fmr_of_images, tar_at_fmr, threshold_at_fmr, verify_at
from overt.evaluation.wording import rate_in_words

QUICK = Bootstrap(resamples=200)
NAN = math.nan


def listed(*searches: tuple[str, float, float]) -> MatedSearches:
    """(person, similarity of the mate, of the best other)."""
    person, mate, other = zip(*searches, strict=True) if searches else ((), (), ())
    return MatedSearches(np.array(person, np.str_), np.array(mate, float), np.array(other, float))


def unlisted(*tops: float) -> NonMatedSearches:
    """One search of each of so many people."""
    return NonMatedSearches(np.array([f"n{number}" for number in range(len(tops))], np.str_), np.array(tops, float))


def rate(measured: Estimate | NotMeasurable) -> Rate:
    assert isinstance(measured, Estimate), measured
    return measured.rate


# Each by hand: found, missed (below), tie with another, another is first, no template, could not be enrolled.
SIX = listed(
    ("a", 0.9, 0.2), ("b", 0.4, 0.3), ("c", 0.8, 0.8), ("d", 0.6, 0.7), ("e", NAN, NAN), ("f", -math.inf, 0.95)
)


def test_who_is_listed_is_recognised_when_first_and_similar_enough() -> None:
    point = at_threshold(SIX, unlisted(0.7, 0.5, 0.3, NAN), 0.5)
    assert rate(point.tpir) == Rate(1, 6)
    assert rate(point.fnir) == Rate(5, 6)
    assert rate(point.fpir) == Rate(2, 4), "a pass without a template raised no alert and is a pass"
    assert rate(point.misidentified) == Rate(3, 6), "a tie alerts for who knows whom"


def test_the_threshold_itself_alerts() -> None:
    point = at_threshold(listed(("a", 0.5, 0.1)), unlisted(0.5), 0.5)
    assert rate(point.tpir) == rate(point.fpir) == Rate(1, 1)


def test_rank_one_needs_no_threshold_and_failures_to_acquire_count_everywhere() -> None:
    whole = identification(SIX, unlisted(0.7, 0.5, 0.3, NAN), thresholds=[0.5], bootstrap=QUICK)
    assert rate(whole.rank1) == Rate(2, 6)
    assert rate(whole.fta) == Rate(2, 10)
    assert whole.given == (at_threshold(SIX, unlisted(0.7, 0.5, 0.3, NAN), 0.5),)
    assert (whole.mated_searches, whole.non_mated_searches, whole.mated_people, whole.splits) == (6, 4, 6, 1)


def test_ranks_beyond_the_first() -> None:
    found = MatedSearches(
        np.array(["a", "b", "c"]),
        np.array([0.9, 0.4, NAN]),
        np.array([0.1, 0.5, NAN]),
        rank=np.array([1, 4, 0]),
    )
    assert [rate(at_rank(found, k)).count for k in (1, 3, 4)] == [1, 1, 2]


def test_no_impostors_and_nobody_listed_are_answered_in_words() -> None:
    alone = identification(SIX, unlisted(), thresholds=[0.5], bootstrap=QUICK)
    assert "nobody who is not enrolled was searched for" in str(alone.given[0].fpir)
    assert all(isinstance(target.point, NotMeasurable) for target in alone.targets)
    assert rate(alone.given[0].tpir) == Rate(1, 6)
    strangers = identification(listed(), unlisted(*np.linspace(0, 0.5, 50)), bootstrap=QUICK)
    first = strangers.targets[0]
    assert not isinstance(first.point, NotMeasurable)
    assert str(first.point.tpir) == "not measurable here: nobody who is enrolled was searched for"
    assert first.tpir_interval is None
    nothing = identification(listed(), unlisted())
    assert isinstance(nothing.fta, NotMeasurable)


def test_one_person_is_answered_with_an_interval_that_says_nothing() -> None:
    found = listed(("a", 0.9, 0.1), ("a", 0.3, 0.1))
    tpir = at_threshold(found, unlisted(0.1), 0.5).tpir
    assert isinstance(tpir, Estimate)
    assert (tpir.interval.low, tpir.interval.high) == (0, 1)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"mate": [0.9, NAN]}, "mated search 1 of 2: NaN means that no template was acquired"),
        ({"mate": [0.9]}, "mate has 1 values for 2 searches"),
        ({"person": ["a", ""]}, "search 1 has no person"),
        ({"best_other": [0.1, math.inf]}, "best_other of search 1 is infinite"),
        ({"rank": [2, 1]}, "mated search 0 of 2 has rank 2, but its similarities say first"),
        ({"split": [[0, 1]]}, "split has 2 dimensions"),
    ],
)
def test_columns_that_contradict_themselves_are_refused(columns: dict[str, list[float]], words: str) -> None:
    sound = {"person": ["a", "b"], "mate": [0.9, 0.8], "best_other": [0.1, 0.2]}
    with pytest.raises(CannotMeasure, match=words):
        MatedSearches(**{name: np.array(column) for name, column in (sound | columns).items()})


def test_a_threshold_that_is_no_number_is_refused() -> None:
    for wrong in (NAN, math.inf):
        with pytest.raises(CannotMeasure, match="threshold"):
            at_threshold(SIX, unlisted(0.1), wrong)
    with pytest.raises(CannotMeasure, match="expected a share above 0"):
        threshold_at_fpir(unlisted(0.1), 0.0)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5, NAN]), min_size=1, max_size=40), st.sampled_from([0.1, 0.25]))
def test_the_threshold_for_an_fpir_is_the_lowest_that_keeps_to_it(tops: list[float], target: float) -> None:
    """Tried one by one over all scores, ties and failures to acquire among them."""
    searches = unlisted(*tops)
    found = threshold_at_fpir(searches, target)
    scores = sorted({top for top in tops if not math.isnan(top)})
    within = [t for t in scores if sum(top >= t for top in tops) <= target * len(tops) + 1e-9]
    if len(tops) < 1 / target or not scores:
        assert isinstance(found, NotMeasurable)
    elif within:
        assert found == within[0]
    else:
        assert isinstance(found, float)
        assert scores[-1] < found < scores[-1] + 1e-9, "the highest are equal and too many: above them"


def test_too_few_unlisted_people_cannot_tell_a_small_fpir() -> None:
    whole = identification(SIX, unlisted(*np.linspace(0, 0.5, 500)), bootstrap=QUICK)
    answers = {target.target: target for target in whole.targets}
    assert str(answers[0.001].point) == (
        "not measurable here: FPIR 0.1 % needs at least 1,000 searches of people who are not enrolled; here are 500"
    )
    assert "not measurable" in answers[0.001].claim
    assert "cannot be claimed at 95 % from 5 in 500" in answers[0.01].claim
    point = answers[0.01].point
    assert not isinstance(point, NotMeasurable)
    assert rate(point.fpir) == Rate(5, 500)


def drawn(seed: int, people: int = 60, each: int = 3) -> tuple[MatedSearches, NonMatedSearches]:
    """Searches that resemble real ones: some overlap, some ties, some failures, people searched for repeatedly."""
    rng = np.random.default_rng(seed)
    person = np.repeat([f"p{number}" for number in range(people)], each)
    size = len(person)
    failed = rng.random(size) < 0.05
    mate, other, top = (np.where(failed, NAN, rng.normal(mean, 0.12, size).round(2)) for mean in (0.6, 0.3, 0.3))
    return MatedSearches(person, mate, other), NonMatedSearches(np.char.add("n", person), top)


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_a_higher_threshold_never_recognises_nor_alerts_more(seed: int) -> None:
    mated, non_mated = drawn(seed)
    points = [at_threshold(mated, non_mated, t, QUICK) for t in (0.2, 0.4, 0.5, 0.6, 0.8)]
    for lower, higher in itertools.pairwise(points):
        assert rate(higher.tpir).count <= rate(lower.tpir).count
        assert rate(higher.fpir).count <= rate(lower.fpir).count


def test_the_order_of_searches_does_not_matter() -> None:
    mated, non_mated = drawn(4)
    order = np.random.default_rng(0).permutation(len(mated))
    mixed = MatedSearches(mated.person[order], mated.mate[order], mated.best_other[order])
    assert identification(mated, non_mated, bootstrap=QUICK) == identification(mixed, non_mated, bootstrap=QUICK)


def test_intervals_at_a_target_carry_the_threshold_s_own_uncertainty() -> None:
    """The same by hand: people drawn one by one, the threshold found anew by sorting."""
    mated, non_mated = drawn(7, people=80, each=2)
    target = identification(mated, non_mated, targets=[0.1], bootstrap=Bootstrap(1500)).targets[0]
    assert target.tpir_interval is not None
    assert target.threshold_interval is not None
    rng = np.random.default_rng(11)
    tpirs, thresholds = [], []
    names, strangers = np.unique(mated.person), np.unique(non_mated.person)
    rows = {name: np.flatnonzero(mated.person == name) for name in names}
    others = {name: np.flatnonzero(non_mated.person == name) for name in strangers}
    for _ in range(600):
        passes = np.concatenate([others[name] for name in rng.choice(strangers, len(strangers))])
        scores = np.where(np.isnan(non_mated.top[passes]), -np.inf, non_mated.top[passes])
        threshold = min(t for t in [*np.unique(scores), 9.0] if t > -9 and np.mean(scores >= t) <= 0.1)
        own = np.concatenate([rows[name] for name in rng.choice(names, len(names))])
        tpirs.append(np.mean((mated.mate[own] > mated.best_other[own]) & (mated.mate[own] >= threshold)))
        thresholds.append(threshold)
    assert [target.tpir_interval.low, target.tpir_interval.high] == pytest.approx(
        np.quantile(tpirs, [0.025, 0.975]), abs=0.025
    )
    assert [target.threshold_interval.low, target.threshold_interval.high] == pytest.approx(
        np.quantile(thresholds, [0.025, 0.975]), abs=0.015
    )


def test_a_mate_at_the_threshold_is_found_in_every_resample() -> None:
    found = listed(*((f"p{number}", 0.5, 0.1) for number in range(12)))
    target = identification(found, unlisted(*[0.5] * 20), targets=[1.0], bootstrap=QUICK).targets[0]
    assert target.tpir_interval is not None
    assert target.threshold_interval is not None
    assert (target.threshold_interval.low, target.threshold_interval.high) == (0.5, 0.5)
    assert target.tpir_interval.low == pytest.approx(Rate(12, 12).clopper_pearson().low)


def test_nobody_missed_is_no_certainty_at_a_target_either() -> None:
    found = listed(*((f"p{number}", 0.9, 0.1) for number in range(12)))
    target = identification(found, unlisted(*np.linspace(0, 0.5, 40)), targets=[0.1], bootstrap=QUICK).targets[0]
    assert target.tpir_interval is not None
    assert target.tpir_interval.low == pytest.approx(Rate(12, 12).clopper_pearson().low)


def test_the_det_curve_is_the_operating_points_and_monotone() -> None:
    mated, non_mated = drawn(2)
    curve = det_curve(mated, non_mated, points=40, bootstrap=QUICK)
    assert isinstance(curve, DetCurve)
    assert (np.diff(curve.threshold) > 0).all()
    assert (np.diff(curve.fpir) <= 0).all()
    assert (np.diff(curve.fnir) >= 0).all()
    assert curve.fpir[-1] == 0
    for row in curve.rows()[::5]:
        point = at_threshold(mated, non_mated, row["threshold"], QUICK)
        assert (row["fpir"], row["fnir"]) == pytest.approx((rate(point.fpir).value, rate(point.fnir).value))
        assert row["fpir_low"] <= row["fpir"] <= row["fpir_high"]
        assert row["fnir_low"] <= row["fnir"] <= row["fnir_high"]
        assert isinstance(point.fpir, Estimate)
        assert row["fpir_high"] == pytest.approx(point.fpir.interval.high, abs=0.02)


def test_a_det_curve_of_different_people_has_clopper_pearson_bounds() -> None:
    curve = det_curve(listed(("a", 0.9, 0.1), ("b", 0.3, 0.1)), unlisted(0.2, 0.4, 0.6, NAN))
    assert isinstance(curve, DetCurve)
    assert curve.threshold[:3].tolist() == [0.2, 0.4, 0.6]
    assert curve.fpir.tolist() == [0.75, 0.5, 0.25, 0]
    assert curve.fnir.tolist() == [0, 0.5, 0.5, 0.5]
    assert curve.fpir_high[1] == pytest.approx(Rate(2, 4).clopper_pearson().high)
    for nothing in (det_curve(listed(), unlisted(0.1)), det_curve(SIX, unlisted()), det_curve(SIX, unlisted(NAN))):
        assert isinstance(nothing, NotMeasurable)


def test_fpir_on_smaller_lists_is_that_of_all_smaller_lists() -> None:
    """Every list of two of the five subjects is tried."""
    scores = np.array([[0.9, 0.1, 0.1, 0.8, 0.2], [0.1, 0.1, 0.1, 0.1, 0.1], [0.9, 0.9, 0.9, 0.9, 0.1]])
    lists = list(itertools.combinations(range(5), 2))
    by_hand = np.mean([scores[:, chosen].max(axis=1) >= 0.5 for chosen in lists])
    hits = (scores >= 0.5).sum(axis=1)
    two, five, more = fpir_by_list_size(hits, 5, np.array(["a", "b", "c"]), [2, 5, 50], QUICK)
    assert two.measured == pytest.approx(by_hand)
    assert five.measured == pytest.approx(2 / 3)
    assert str(more.measured) == "not measurable here: the gallery has 5 subjects, the law tells what 50 might give"
    assert more.law == pytest.approx(1 - (1 - 6 / 15) ** 50)


def test_independent_comparisons_follow_the_law() -> None:
    rng = np.random.default_rng(1)
    hits = (rng.random((4000, 200)) < 0.002).sum(axis=1)
    sizes = fpir_by_list_size(hits, 200, np.arange(4000).astype(np.str_), [1, 10, 50, 200], QUICK)
    for size in sizes:
        assert isinstance(size.measured, float)
        assert size.interval is not None
        assert size.measured in size.interval
        assert size.law == pytest.approx(size.measured, rel=0.1)
    assert law(1e-12, 1000) == pytest.approx(1e-9)
    assert law(1.0, 3) == 1.0
    none = fpir_by_list_size(np.zeros(30, np.int64), 9, np.arange(30).astype(np.str_), [9])[0]
    assert none.interval == Rate(0, 30).clopper_pearson()
    with pytest.raises(CannotMeasure, match=r"0\.\.9"):
        fpir_by_list_size(np.array([10]), 9, np.array(["a"]), [3])


def test_verification_by_hand() -> None:
    mated, non_mated = np.array([0.9, 0.5, 0.4, NAN]), np.array([0.5, 0.1, 0.2, NAN])
    point = verify_at(mated, non_mated, 0.5)
    assert (point.fnmr, point.fmr) == (Rate(2, 4), Rate(1, 4))
    assert threshold_at_fmr(non_mated, 0.25) == 0.5
    assert threshold_at_fmr(non_mated, 0.5) == 0.2
    assert "needs at least 1,000 pairs" in str(threshold_at_fmr(non_mated, 0.001))
    empty = verify_at(np.array([]), np.array([]), 0.5)
    assert (str(empty.fmr), str(empty.fnmr)) == (
        "not measurable here: there are no pairs of different people",
        "not measurable here: there are no two images of anybody",
    )
    (answer,) = tar_at_fmr(mated, non_mated, [0.25])
    assert answer.point == point


def similarities(seed: int, images: int) -> NDArray[np.float64]:
    vectors = np.random.default_rng(seed).normal(size=(images, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors @ vectors.T


def test_fmr_of_images_counts_each_pair_once_and_resamples_images() -> None:
    matrix = similarities(1, 60)
    matrix[7], matrix[:, 7] = NAN, NAN
    found = fmr_of_images(matrix, 0.7, Bootstrap(800))
    pairs = [matrix[one, other] for one, other in itertools.combinations(range(60), 2)]
    assert found.rate == Rate(sum(bool(score >= 0.7) for score in pairs), 60 * 59 // 2)
    rng, rates = np.random.default_rng(2), []
    for _ in range(600):
        chosen = rng.integers(60, size=60)
        one, other = np.triu_indices(60, 1)
        apart = chosen[one] != chosen[other]
        rates.append(np.mean(matrix[chosen[one], chosen[other]][apart] >= 0.7))
    assert found.by_person is not None
    assert [found.by_person.low, found.by_person.high] == pytest.approx(np.quantile(rates, [0.025, 0.975]), rel=0.12)
    none = fmr_of_images(matrix, 1.1)
    assert none.at_most == pytest.approx(Rate(0, 30).at_most()), "only 30 pairs share no image"
    assert rate_in_words(none) == "none in 1,770 (30 of them surely independent): at most 9.5 % at 95 %"
    with pytest.raises(CannotMeasure, match="square"):
        fmr_of_images(np.zeros((1, 1)), 0.5)
