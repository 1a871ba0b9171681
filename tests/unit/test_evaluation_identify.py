"""The protocol of open-set identification on images: who is enrolled, who searches, and what comes of it by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.evaluation.datasets import Dataset, DatasetError, Sample
from overt.evaluation.estimate import Bootstrap, Estimate
from overt.evaluation.groups_run import Wanted, evaluate_groups
from overt.evaluation.groups_words import groups_tables
from overt.evaluation.identify import IdentifyResult, Named, identify
from overt.evaluation.identify_words import identify_tables
from overt.evaluation.labels import Labels
from overt.evaluation.pair_differences import fmr_resamples
from overt.evaluation.pairs import pairs
from overt.evaluation.protocol import Protocol, hits_at, search, split_people
from overt.evaluation.results import Made as MadeBy
from overt.evaluation.results import as_csv, describe, document, plain
from overt.evaluation.tables import texts
from overt.evaluation.templates import Failure, Template
from overt.evaluation.unmeasurable import NotMeasurable

FEW = Bootstrap(resamples=200)
QUICK = Protocol(splits=3)


def at(angle: float, eyes_px: float = 40.0) -> Template:
    """A unit vector in the plane: cosines between two are known by hand."""
    vector = np.array([np.cos(angle), np.sin(angle)], np.float32)
    return Template(f"{angle}", vector, None, eyes_px)


def failed(name: str = "x") -> Template:
    return Template(name, None, Failure.NO_FACE, 0.0)


def of(people: Mapping[str, Sequence[Template]]) -> tuple[Dataset, list[Template]]:
    samples, made = [], []
    for person, own in people.items():
        for number, template in enumerate(own):
            samples.append(Sample(f"{person}/{number}.jpg", Path(f"{person}/{number}.jpg"), person))
            made.append(template)
    return Dataset(Path("people"), "subfolders", tuple(samples), identified=True), made


def crowd(people: int, images: int, seed: int = 0, noise: float = 0.35) -> tuple[Dataset, list[Template]]:
    """People whose images lie around a centre of their own in 16 dimensions."""
    random = np.random.default_rng(seed)
    found: dict[str, list[Template]] = {}
    for number in range(people):
        centre = random.normal(size=16)
        own = centre + noise * random.normal(size=(images, 16)) * np.linalg.norm(centre) / 4
        own /= np.linalg.norm(own, axis=1, keepdims=True)
        found[f"p{number:03}"] = [
            Template(f"{number} {i}", v, None, 40.0) for i, v in enumerate(own.astype(np.float32))
        ]
    return of(found)


# Who is enrolled, who searches


@settings(max_examples=40, deadline=None)
@given(
    images=st.lists(st.integers(1, 5), min_size=3, max_size=20).filter(lambda counts: max(counts) >= 4),
    enrol=st.integers(1, 3),
    share=st.floats(0, 0.9),
    seed=st.integers(0, 5),
)
def test_every_image_has_one_role_in_a_split_and_nobody_is_listed_and_unlisted(
    images: list[int], enrol: int, share: float, seed: int
) -> None:
    data, _ = of({f"p{n}": [at(0.0)] * count for n, count in enumerate(images)})
    for split in split_people(data.samples, Protocol(enrol=enrol, unlisted_share=share, splits=2, seed=seed)):
        enrolled = [i for own in split.enrolled for i in own.tolist()]
        everything = [*enrolled, *split.mated.tolist(), *split.non_mated.tolist()]
        assert sorted(everything) == list(range(len(data.samples)))
        listed = [{data.samples[i].person for i in own.tolist()} for own in split.enrolled]
        assert all(len(own) == enrol for own in split.enrolled)
        assert all(len(people) == 1 for people in listed)
        for probe, mate in zip(split.mated.tolist(), split.mate.tolist(), strict=True):
            assert {data.samples[probe].person} == listed[mate]
        unlisted = {data.samples[i].person for i in split.non_mated.tolist()}
        assert not unlisted & set().union(*listed)


def test_the_same_seed_draws_the_same_and_another_one_differently() -> None:
    data, _ = crowd(30, 2)
    drawn = [
        [s.non_mated.tolist() for s in split_people(data.samples, replace(QUICK, seed=seed))] for seed in (4, 4, 5)
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    assert drawn[0][0] != drawn[0][1]  # and the splits of one seed differ


def test_a_list_of_a_size_is_of_that_size() -> None:
    data, _ = crowd(30, 2)
    (split,) = split_people(data.samples, Protocol(list_size=7, splits=1))
    assert len(split.enrolled) == 7
    with pytest.raises(DatasetError, match=r"a list of 31 cannot be drawn: 30 people have 2 images"):
        split_people(data.samples, Protocol(list_size=31))


def test_nobody_with_images_enough_is_said_in_words() -> None:
    data, made = crowd(4, 2)
    with pytest.raises(DatasetError, match=r"nobody can be listed: 4 images of a person are needed \(3 enrolled"):
        identify(data, made, Protocol(enrol=3))
    with pytest.raises(DatasetError, match=r"nothing says which images show the same person"):
        identify(replace(data, identified=False), made, QUICK)


# By hand: directions in a plane, one split


def by_hand(rule: str = "max") -> tuple[Dataset, list[Template], Protocol]:
    data, made = of({"ann": [at(0.0), at(0.2), at(0.1)], "cem": [at(0.3)], "far": [at(2.0)], "bad": [failed()]})
    return data, made, Protocol(enrol=2, splits=1, unlisted_share=0.0, rule="max" if rule == "max" else "mean")


@pytest.mark.parametrize("rule", ["max", "mean"])
def test_similarities_are_those_of_the_rule(rule: str) -> None:
    data, made, protocol = by_hand(rule)
    splits = split_people(data.samples, protocol)
    enrolled = [
        float(np.arctan2(v[1], v[0])) for i in splits[0].enrolled[0].tolist() if (v := made[i].vector) is not None
    ]
    (probe,) = splits[0].mated.tolist()
    found = search(data.samples, made, splits, protocol.rule)
    combine = max if rule == "max" else lambda values: sum(values) / len(values)
    angle = np.arctan2(made[probe].vector[1], made[probe].vector[0])
    assert found.mated.mate.tolist() == pytest.approx([combine([np.cos(angle - e) for e in enrolled])], abs=1e-6)
    assert found.mated.best_other.tolist() == [-np.inf]
    expected = {
        "cem": combine([np.cos(0.3 - e) for e in enrolled]),
        "far": combine([np.cos(2.0 - e) for e in enrolled]),
    }
    tops = dict(zip(found.non_mated.person.tolist(), found.non_mated.top.tolist(), strict=True))
    assert {name: tops[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert np.isnan(tops["bad"])  # without a template nobody can be searched for, and the search counts


def test_a_listed_person_whose_images_cannot_be_enrolled_is_missed_and_counted() -> None:
    data, made = of({"ann": [failed(), failed(), at(0.0)], "bob": [at(1.0), at(1.1), at(1.05)], "cem": [at(1.02)]})
    made[2] = replace(made[2], eyes_px=10.0)  # too small to be enrolled, and still searched for
    result = identify(data, made, Protocol(enrol=2, splits=4, unlisted_share=0.0), [Named(0.9, "given")], FEW)
    searched = result.searched
    anns = searched.mated.person == "ann"
    assert not (searched.mated.mate[anns] > -1).any()
    assert result.fte_people.rate.count == 4  # ann in each split
    assert result.fte_people.rate.trials == 8
    (point,) = result.identification.given
    assert isinstance(point.tpir, Estimate)
    assert point.tpir.rate.trials == 8  # and stays in the denominator
    assert point.tpir.rate.count == 4
    assert isinstance(point.fpir, Estimate)
    assert point.fpir.rate.count == 4  # cem is taken for bob each time


def test_hits_count_the_subjects_that_reach_a_threshold() -> None:
    data, made = of({"ann": [at(0.0)] * 2, "bob": [at(0.5)] * 2, "cem": [at(0.25)], "bad": [failed()]})
    splits = split_people(data.samples, Protocol(splits=1, unlisted_share=0.0))
    hits = hits_at(made, splits, "max", [0.9, 0.999])
    assert hits.tolist() == [[2, 0], [0, 0]]


def test_pairs_are_every_two_images_once() -> None:
    data, made = of({"ann": [at(0.0), at(0.1)], "bob": [at(1.0), failed()]})
    found = pairs(made, [s.person for s in data.samples])
    assert found.mated.tolist() == pytest.approx([np.cos(0.1)], abs=1e-6)
    assert sorted(found.non_mated.tolist()) == pytest.approx(sorted([np.cos(1.0), np.cos(0.9)]), abs=1e-6)
    assert found.images == 3


# The whole


@pytest.fixture(scope="module")
def measured() -> tuple[Dataset, list[Template], IdentifyResult]:
    data, made = crowd(60, 4)
    return data, made, identify(data, made, Protocol(enrol=2, splits=3, unlisted_share=0.4), [Named(0.9, "card")], FEW)


def test_a_result_is_reproduced_to_the_last_digit_and_written_as_json(
    measured: tuple[Dataset, list[Template], IdentifyResult],
) -> None:
    data, made, result = measured
    again = identify(data, made, result.protocol, result.named, FEW)
    parts = [{"measures": {"a": r.identification, "b": r.growth, "c": r.det, "d": r.rules}} for r in (result, again)]
    texts_of = [json.dumps(document("identify", MadeBy("1", "now", ("overt",)), p), allow_nan=False) for p in parts]
    assert texts_of[0] == texts_of[1]


def test_all_of_it_is_told_in_words(measured: tuple[Dataset, list[Template], IdentifyResult]) -> None:
    data, made, result = measured
    told = texts(identify_tables(describe(data, made), result))
    for expected in (
        "FPIR",
        "cannot be claimed",
        "rank 1",
        "not measurable here",
        "by the law",
        "0.900",
        "max",
        "mean",
    ):
        assert expected in told
    assert "36 people, 2 image(s) each" in told


def test_one_person_alone_is_answered_in_words() -> None:
    data, made = of({"ann": [at(0.0), at(0.1), at(0.2)]})
    result = identify(data, made, QUICK, [Named(0.9, "given")], FEW)
    assert isinstance(result.identification.given[0].fpir, NotMeasurable)
    assert isinstance(result.det, NotMeasurable)
    assert result.growth == ()
    told = texts(identify_tables(describe(data, made), result))
    assert "nobody who is not enrolled was searched for" in told


def test_images_that_all_fail_are_a_result_and_no_crash() -> None:
    data, made = of({"ann": [failed(), failed()], "bob": [failed(), failed()], "cem": [failed()]})
    result = identify(data, made, QUICK, [Named(0.9, "given")], FEW)
    assert isinstance(result.identification.fta, Estimate)
    assert result.identification.fta.value == 1
    assert "4 no face found" not in texts(identify_tables(describe(data, made), result))
    assert "5 no face found" in texts(identify_tables(describe(data, made), result))


def test_equal_images_are_ties_and_nobody_is_found() -> None:
    """Where everybody looks the same no order can be relied on: the first candidate is nobody's."""
    data, made = of({name: [at(0.0), at(0.0)] for name in ("ann", "bob", "cem", "dan")})
    result = identify(data, made, QUICK, [Named(0.5, "given")], FEW)
    assert isinstance(result.identification.rank1, Estimate)
    assert result.identification.rank1.value == 0


def test_an_image_that_stands_under_two_people_is_noticed() -> None:
    data, made = of({"ann": [at(0.0), at(0.1)], "bob": [at(0.1), at(2.0)]})
    assert describe(data, made).repeated == 1


def test_data_are_described_by_content_and_not_by_name() -> None:
    data, made = crowd(5, 2)
    described = describe(data, made)
    assert described.sha256 == describe(replace(data, source=Path("elsewhere")), made).sha256
    assert described.sha256 != describe(data, [replace(made[0], image_sha256="other"), *made[1:]]).sha256
    assert "p001" not in json.dumps(plain(described))


def test_csv_has_a_header_and_a_line_for_each_row() -> None:
    assert as_csv([{"a": 1, "b": "x, y"}, {"a": 2, "b": ""}]) == 'a,b\n1,"x, y"\n2,\n'
    assert as_csv([]) == ""


# Groups


def grouped(identified: bool = True) -> tuple[Dataset, list[Template], Labels]:
    """Group b lies close together, so that its people are taken for each other."""
    random = np.random.default_rng(1)
    people = {}
    for number in range(80):
        centre = random.normal(size=8) + (4 if number % 2 else 0)
        own = centre + 0.3 * random.normal(size=(3, 8))
        own = (own / np.linalg.norm(own, axis=1, keepdims=True)).astype(np.float32)
        people[f"p{number:02}"] = [Template(f"{number} {i}", v, None, 40.0) for i, v in enumerate(own)]
    data, made = of(people)
    labels = Labels("person", {name: {"kind": "b" if int(name[1:]) % 2 else "a"} for name in [*people][:78]})
    return replace(data, identified=identified), made, labels


def test_the_group_that_is_confused_asks_for_the_higher_threshold() -> None:
    data, made, labels = grouped()
    wanted = Wanted(("kind",), fpir=0.1, fmr=0.05)
    (label,) = evaluate_groups(data, made, labels, wanted, Protocol(splits=4, unlisted_share=0.5), FEW).labels
    assert not isinstance(label.searches, NotMeasurable)
    assert not isinstance(label.advice_fpir, NotMeasurable)
    fpir = {g.group: g.fpir for g in label.searches.groups}
    assert isinstance(fpir["a"], Estimate)
    assert isinstance(fpir["b"], Estimate)
    assert fpir["b"].value > fpir["a"].value
    assert label.advice_fpir.worst == "b"
    assert isinstance(label.advice_fpir.by_estimate, float)
    assert label.advice_fpir.by_estimate > label.searches.threshold
    assert label.unlabelled == 6  # two people of three images have no label


def test_without_identities_there_is_fmr_and_the_rest_is_said_not_to_be_measurable() -> None:
    data, made, labels = grouped(identified=False)
    wanted = Wanted(("kind",), fmr=0.05)
    result = evaluate_groups(data, made, labels, wanted, Protocol(), FEW)
    (label,) = result.labels
    assert isinstance(label.searches, NotMeasurable)
    assert not isinstance(label.pairs, NotMeasurable)
    rates = {g.group: g.fmr for g in label.pairs.groups}
    assert isinstance(rates["a"], Estimate)
    assert isinstance(rates["b"], Estimate)
    assert rates["b"].value > rates["a"].value
    told = texts(groups_tables(describe(data, made), result))
    assert told.count("not measurable here: the images have no identities") >= 2
    assert "FMR 5 %" in told


def test_a_threshold_that_is_given_is_the_one_that_groups_are_compared_at() -> None:
    data, made, labels = grouped()
    wanted = Wanted(("kind",), threshold=0.97)
    (label,) = evaluate_groups(data, made, labels, wanted, Protocol(splits=2), FEW).labels
    assert not isinstance(label.searches, NotMeasurable)
    assert not isinstance(label.pairs, NotMeasurable)
    assert label.searches.threshold == label.pairs.threshold == 0.97


def test_a_difference_in_fmr_is_shown_where_it_is_plain_and_not_within_one_group() -> None:
    data, made, labels = grouped(identified=False)
    wanted = Wanted(("kind", "half"), fmr=0.05)
    halves = {name: {"half": "one" if int(name[1:]) % 4 < 2 else "other", **v} for name, v in labels.values.items()}
    both = Labels("person", halves)
    kind, half = evaluate_groups(data, made, both, wanted, Protocol(), Bootstrap(resamples=500)).labels
    assert not isinstance(kind.pairs, NotMeasurable)
    assert not isinstance(half.pairs, NotMeasurable)
    (plain_difference,) = (d for d in kind.pairs.differences if d.error == "fmr")
    (none,) = (d for d in half.pairs.differences if d.error == "fmr")
    assert plain_difference.significant
    assert plain_difference.interval.high < 0  # a minus b
    assert not none.significant
    assert none.interval.low < 0 < none.interval.high


def test_without_identities_a_copied_image_is_no_false_match() -> None:
    data, made, labels = grouped(identified=False)
    wanted = Wanted(("kind",), threshold=0.9999)
    copied = [made[0] if number in (3, 6) else template for number, template in enumerate(made)]
    before, after = (
        evaluate_groups(data, some, labels, wanted, Protocol(), FEW).labels[0].pairs for some in (made, copied)
    )
    assert not isinstance(before, NotMeasurable)
    assert not isinstance(after, NotMeasurable)
    rates = [g.fmr for answers in (before, after) for g in answers.groups]
    assert all(isinstance(rate, Estimate) and rate.rate.count == 0 for rate in rates)


def test_few_matching_pairs_are_rare_events_of_which_one_more_might_have_been_seen() -> None:
    """Three pairs of one image are one event, three apart are three; both spread more than counts would."""
    alone, apart = np.zeros((40, 40)), np.zeros((40, 40))
    for i, j in ((0, 1), (0, 2), (0, 3)):
        alone[i, j] = alone[j, i] = 1
    for i, j in ((0, 1), (2, 3), (4, 5)):
        apart[i, j] = apart[j, i] = 1
    plan, pairs_of_40 = Bootstrap(resamples=4000), 40 * 39 / 2
    none, one, three = (fmr_resamples(m, 0.5, plan) * pairs_of_40 for m in (np.zeros((40, 40)), alone, apart))
    assert none.mean() == pytest.approx(1, rel=0.1)
    assert one.mean() == pytest.approx(2 * 3, rel=0.1)  # one cluster and one more, of three pairs each
    assert three.mean() == pytest.approx(4, rel=0.1)
    assert one.std() > three.std() > none.std()
