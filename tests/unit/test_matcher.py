"""Open-set identification: the exact gallery searches as a dictionary would; a match keeps its category's rule."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from overt.matcher.exact import ExactGallery
from overt.matcher.rows import BadEntry, check_unit
from overt.matcher.stage import CategoryRule, MatcherStage
from overt.messages import Embedding, Kind, Match, Vector, WatchlistEntry
from overt.ports import Candidate, Gallery, Reason, Reject
from tests.support import messages as make
from tests.support.messages import DIMENSION, SPACE, unit

NOW = 1_000_000
WANTED = CategoryRule(Kind.WANTED, 0.9)
MISSING = CategoryRule(Kind.MISSING, 0.6)
RULES = {"wanted": WANTED, "missing": MISSING}


def entry(subject: str, vector: Vector, number: int = 1, category: str = "wanted", **changes: object) -> WatchlistEntry:
    return make.entry(entry_id=f"{subject}/{number}", subject_id=subject, category=category, vector=vector, **changes)


def at_similarity(similarity: float, axis: int = 1) -> Vector:
    """A unit vector with this cosine to the first axis."""
    vector = np.zeros(DIMENSION, np.float32)
    vector[0], vector[axis] = similarity, math.sqrt(1 - similarity**2)
    return vector


PROBE = at_similarity(1.0)


def probe(vector: Vector = PROBE, **changes: object) -> Embedding:
    return make.embedding(vector=vector, **changes)


def stage(entries: Sequence[WatchlistEntry], rules: dict[str, CategoryRule] | None = None) -> MatcherStage:
    gallery = ExactGallery(SPACE, entries)
    return MatcherStage(lambda: gallery, RULES if rules is None else rules, DIMENSION)


def only(results: object) -> Match:
    assert isinstance(results, list)
    (result,) = results
    assert isinstance(result, Match)
    return result


# The gallery


@dataclasses.dataclass(frozen=True)
class Case:
    """A watchlist with few subjects, few distinct vectors (so that ties happen) and windows of validity."""

    entries: list[WatchlistEntry]
    probes: list[tuple[int, int]]  # seed of a vector, time
    subjects: int


def windows() -> st.SearchStrategy[tuple[int, int]]:
    return st.sampled_from([(0, 100), (0, 50), (50, 100), (20, 80), (60, 60), (90, 10)])


CASES = st.builds(
    Case,
    st.lists(
        st.builds(
            lambda subject, number, seed, window: entry(
                subject, unit(seed), number, valid_from_us=window[0], valid_until_us=window[1]
            ),
            st.sampled_from("ABCDEF"),
            st.integers(0, 9),
            st.integers(0, 6),
            windows(),
        ),
        max_size=14,
        unique_by=lambda e: e.entry_id,
    ),
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from([0, 19, 20, 49, 50, 79, 80, 99, 100])), min_size=1, max_size=6
    ),
    st.integers(0, 7),
)


def brute_force(
    entries: Sequence[WatchlistEntry], vector: Vector, at_us: int, most: int
) -> list[tuple[float, str, str]]:
    """The best valid entry of each subject in a dictionary, most similar first; ties go to the name that is first."""
    best: dict[str, tuple[float, str, str]] = {}
    for e in sorted(entries, key=lambda e: e.entry_id):
        if e.valid_from_us <= at_us < e.valid_until_us:
            similarity = float(e.vector.astype(np.float64) @ vector.astype(np.float64))
            if e.subject_id not in best or similarity > best[e.subject_id][0] + 1e-6:
                best[e.subject_id] = (similarity, e.subject_id, e.entry_id)
    return sorted(best.values(), key=lambda c: (-c[0], c[1]))[:most]


@given(CASES)
@settings(max_examples=300, deadline=None)
def test_the_exact_gallery_is_a_search_through_a_dictionary(case: Case) -> None:
    gallery = ExactGallery(SPACE, case.entries)
    vectors = np.stack([unit(seed) for seed, _ in case.probes])
    found = gallery.search(vectors, case.subjects, [at for _, at in case.probes])
    assert len(gallery) == len(case.entries)
    for (seed, at_us), candidates in zip(case.probes, found, strict=True):
        wanted = brute_force(case.entries, unit(seed), at_us, case.subjects)
        assert [c.similarity for c in candidates] == pytest.approx([w[0] for w in wanted], abs=1e-6)
        assert len({c.subject_id for c in candidates}) == len(candidates)
        by_id = {e.entry_id: e for e in case.entries}
        for candidate, (similarity, _, _) in zip(candidates, wanted, strict=True):
            chosen = by_id[candidate.entry_id]
            assert (candidate.subject_id, candidate.category) == (chosen.subject_id, chosen.category)
            assert float(chosen.vector @ unit(seed)) == pytest.approx(similarity, abs=1e-6)
            assert chosen.valid_from_us <= at_us < chosen.valid_until_us


def test_ties_go_to_the_subject_and_then_the_entry_that_sorts_first() -> None:
    entries = [entry(subject, PROBE, number) for subject in "CAB" for number in (2, 1)]
    (found,) = ExactGallery(SPACE, entries).search(PROBE[None], 5, [NOW])
    assert [(c.subject_id, c.entry_id) for c in found] == [("A", "A/1"), ("B", "B/1"), ("C", "C/1")]
    many = [entry(f"S{n:03}", PROBE) for n in range(200)]
    (found,) = ExactGallery(SPACE, many[::-1]).search(PROBE[None], 50, [NOW])
    assert [c.subject_id for c in found] == [e.subject_id for e in many[:50]]


@given(st.permutations([entry(s, unit(i), i) for i, s in enumerate("AABBCCDD")]))
@settings(max_examples=30, deadline=None)
def test_the_order_of_enrolment_changes_no_answer(entries: list[WatchlistEntry]) -> None:
    probes = np.stack([unit(seed) for seed in range(20)])
    in_order = ExactGallery(SPACE, sorted(entries, key=lambda e: e.entry_id))
    assert ExactGallery(SPACE, entries).search(probes, 4, [NOW] * 20) == in_order.search(probes, 4, [NOW] * 20)


def test_the_best_of_several_images_speaks_for_the_subject() -> None:
    entries = [entry("A", at_similarity(s), n) for n, s in enumerate((0.2, 0.95, 0.5))] + [
        entry("B", at_similarity(0.6))
    ]
    (found,) = ExactGallery(SPACE, entries).search(PROBE[None], 4, [NOW])
    assert [(c.subject_id, c.entry_id) for c in found] == [("A", "A/1"), ("B", "B/1")]
    assert found[0].similarity == pytest.approx(0.95)


def test_an_entry_matches_from_its_first_microsecond_until_before_its_last() -> None:
    gallery = ExactGallery(SPACE, [entry("A", PROBE, valid_from_us=10, valid_until_us=20)])
    found = gallery.search(np.stack([PROBE] * 4), 1, [9, 10, 19, 20])
    assert [len(candidates) for candidates in found] == [0, 1, 1, 0]


def test_validity_is_asked_of_the_probes_own_time_in_a_batch_of_many_times() -> None:
    entries = [
        entry("A", at_similarity(0.99), valid_from_us=0, valid_until_us=50),
        entry("B", at_similarity(0.95), valid_from_us=50, valid_until_us=100),
    ]
    found = ExactGallery(SPACE, entries).search(np.stack([PROBE] * 2), 2, [10, 60])
    assert [[c.subject_id for c in candidates] for candidates in found] == [["A"], ["B"]]


def test_an_empty_gallery_finds_nobody() -> None:
    gallery = ExactGallery(SPACE, [])
    assert (len(gallery), gallery.dimension) == (0, None)
    assert list(gallery.search(np.stack([PROBE] * 3), 4, [NOW] * 3)) == [[], [], []]
    assert list(stage([])([probe()])) == []


@pytest.mark.parametrize(
    ("vector", "said"),
    [
        (np.full(DIMENSION, np.nan, np.float32), "not finite"),
        (np.array([np.inf] + [0] * (DIMENSION - 1), np.float32), "not finite"),
        (PROBE * 2, "unit length"),
        (PROBE * 0, "unit length"),
        (PROBE * np.float32(1.002), "unit length"),
        (unit(1, DIMENSION + 1), "shape"),
        (PROBE[None], "shape"),
        (np.zeros(0, np.float32), "shape"),
    ],
    ids=str,
)
def test_a_vector_that_is_no_unit_vector_of_the_space_is_refused_on_both_sides(vector: Vector, said: str) -> None:
    """As a probe it is a reject; in a gallery it is an error that names the entry and shows no number of it."""
    assert list(stage([entry("A", PROBE)])([probe(vector)])) == [Reject(0, Reason.BAD_VECTOR)]
    assert said in (check_unit(vector, DIMENSION) or "")
    with pytest.raises(BadEntry, match=f"B/7: its vector.*{said}") as caught:
        ExactGallery(SPACE, [entry("A", PROBE), entry("B", vector, 7)])
    assert "[" not in str(caught.value)


def test_a_vector_within_rounding_of_unit_length_is_accepted() -> None:
    assert check_unit(PROBE * np.float32(1.0005), DIMENSION) is None
    assert len(list(stage([entry("A", PROBE)])([probe(PROBE * np.float32(0.9995))]))) == 1


def test_an_entry_of_another_model_space_is_refused_by_name() -> None:
    with pytest.raises(BadEntry, match="entry A/1 is of model space other/2, not plain/1"):
        ExactGallery(SPACE, [entry("A", PROBE, space_id="other/2")])


# The stage


def test_a_probe_of_another_model_space_is_rejected() -> None:
    assert list(stage([entry("A", PROBE)])([probe(space_id="other/2")])) == [Reject(0, Reason.WRONG_SPACE)]


def test_a_match_carries_the_probe_the_candidate_and_the_rule() -> None:
    sent = probe()
    match = only(stage([entry("A", at_similarity(0.95), 3), entry("B", at_similarity(0.4))])([sent]))
    assert (match.subject_id, match.entry_id, match.category, match.kind) == ("A", "A/3", "wanted", Kind.WANTED)
    assert match.similarity == pytest.approx(0.95)
    assert match.threshold == 0.9
    assert match.margin == pytest.approx(0.55)
    shared = {f.name for f in dataclasses.fields(Match)} & {f.name for f in dataclasses.fields(Embedding)}
    assert {name: getattr(match, name) for name in shared} == {name: getattr(sent, name) for name in shared}
    assert match.thumbnail is sent.thumbnail


def test_below_every_threshold_nothing_leaves_the_matcher() -> None:
    assert list(stage([entry("A", at_similarity(0.899))])([probe()])) == []
    assert only(stage([entry("A", at_similarity(0.901))])([probe()])).subject_id == "A"


def test_a_similarity_that_equals_the_threshold_is_a_match() -> None:
    exactly = float(at_similarity(0.75) @ PROBE)
    match = only(stage([entry("A", at_similarity(0.75))], {"wanted": CategoryRule(Kind.WANTED, exactly)})([probe()]))
    assert match.similarity == match.threshold


def test_the_margin_is_to_the_second_subject_and_not_to_another_image_of_the_first() -> None:
    entries = [entry("A", at_similarity(0.97), 1), entry("A", at_similarity(0.96), 2), entry("B", at_similarity(0.5))]
    assert only(stage(entries)([probe()])).margin == pytest.approx(0.47)


def test_a_list_of_one_subject_has_no_margin() -> None:
    assert (
        only(stage([entry("A", at_similarity(0.97), 1), entry("A", at_similarity(0.9), 2)])([probe()])).margin is None
    )


def test_a_category_with_a_lower_threshold_may_win_over_a_better_candidate_below_its_own() -> None:
    """The margin then says that somebody else was more similar: it is negative."""
    match = only(
        stage([entry("A", at_similarity(0.85)), entry("B", at_similarity(0.7), category="missing")])([probe()])
    )
    assert (match.subject_id, match.kind, match.threshold) == ("B", Kind.MISSING, 0.6)
    assert match.margin == pytest.approx(-0.15)


def test_the_more_similar_wins_where_both_reach_their_thresholds() -> None:
    entries = [entry("A", at_similarity(0.95)), entry("B", at_similarity(0.96), category="missing")]
    assert only(stage(entries)([probe()])).subject_id == "B"


@pytest.mark.parametrize("crowd", [3, 4, 5, 16, 70])
def test_no_crowd_below_a_high_threshold_hides_who_reaches_a_lower_one(crowd: int) -> None:
    """On a long list many strangers of a strict category stand between a missing person and the first place."""
    strangers = [entry(f"S{n:02}", at_similarity(0.8 - n / 1000, 2)) for n in range(crowd)]
    match = only(stage([*strangers, entry("Z", at_similarity(0.65), category="missing")])([probe()]))
    assert match.subject_id == "Z"
    assert match.margin == pytest.approx(0.65 - 0.8)


class Watched:
    """A gallery that tells how often it was asked, and for how many subjects."""

    def __init__(self, entries: Sequence[WatchlistEntry]) -> None:
        self._gallery = ExactGallery(SPACE, entries)
        self.space_id = SPACE
        self.asked: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._gallery)

    def search(self, probes: Vector, subjects: int, at_us: Sequence[int]) -> Sequence[Sequence[Candidate]]:
        self.asked.append((len(probes), subjects))
        return self._gallery.search(probes, subjects, at_us)


def asked(entries: Sequence[WatchlistEntry], probes: Sequence[Embedding]) -> list[tuple[int, int]]:
    gallery = Watched(entries)
    held: Gallery = gallery
    list(MatcherStage(lambda: held, RULES, DIMENSION)(probes))
    return gallery.asked


def test_a_batch_is_one_look_up() -> None:
    entries = [entry(f"S{n:02}", at_similarity(0.3 + n / 100, 2)) for n in range(20)]
    assert [count for count, _ in asked(entries, [probe()] * 5)] == [5]
    assert asked(entries, [probe(np.full(DIMENSION, np.nan, np.float32))]) == []


def test_a_second_look_up_is_for_those_probes_only_that_need_it() -> None:
    crowd = [entry(f"S{n:02}", at_similarity(0.8, 2)) for n in range(9)]
    looks = asked(
        [*crowd, entry("Z", at_similarity(0.65), category="missing")], [probe(-PROBE), probe(), probe(-PROBE)]
    )
    assert [count for count, _ in looks[:2]] == [3, 1]


def test_matches_keep_the_order_of_their_probes_also_where_one_needs_a_second_look() -> None:
    crowd = [entry(f"S{n:02}", at_similarity(0.8, 2)) for n in range(9)]
    entries = [*crowd, entry("Z", at_similarity(0.65), category="missing"), entry("A", at_similarity(0, 3))]
    sure = at_similarity(0, 3)
    batch = [probe(sure, frame_seq=0), probe(frame_seq=1), probe(sure, frame_seq=2), probe(frame_seq=3)]
    found = [(r.frame_seq, r.subject_id) for r in stage(entries)(batch) if isinstance(r, Match)]
    assert found == [(0, "A"), (1, "Z"), (2, "A"), (3, "Z")]


def test_the_watchlist_is_looked_at_anew_for_each_batch() -> None:
    galleries = [ExactGallery(SPACE, []), ExactGallery(SPACE, [entry("A", PROBE)]), ExactGallery(SPACE, [])]
    made = MatcherStage(lambda: galleries.pop(0), RULES, DIMENSION)
    assert [len(list(made([probe()]))) for _ in range(3)] == [0, 1, 0]


def test_an_entry_of_a_category_without_a_rule_never_matches_and_hides_nobody() -> None:
    unknown = [entry(f"U{n}", PROBE, category="unheard-of") for n in range(6)]
    assert list(stage(unknown)([probe()])) == []
    assert only(stage([*unknown, entry("A", at_similarity(0.95))])([probe()])).subject_id == "A"


def test_rejects_name_their_place_in_the_batch_and_hinder_nobody() -> None:
    bad = np.full(DIMENSION, np.nan, np.float32)
    batch = [probe(bad), probe(frame_seq=1), probe(space_id="x/9"), probe(frame_seq=3), probe(unit(1, 3))]
    results = list(stage([entry("A", PROBE)])(batch))
    assert {r for r in results if isinstance(r, Reject)} == {
        Reject(0, Reason.BAD_VECTOR), Reject(2, Reason.WRONG_SPACE), Reject(4, Reason.BAD_VECTOR)
    }  # fmt: skip
    assert [r.frame_seq for r in results if isinstance(r, Match)] == [1, 3]


SIMILARITIES = st.integers(-99, 99).map(lambda percent: percent / 100)


@given(
    st.lists(st.tuples(st.sampled_from(["wanted", "missing", "unheard-of"]), SIMILARITIES), max_size=12),
    st.integers(10, 95).map(lambda percent: percent / 100),
    st.integers(10, 95).map(lambda percent: percent / 100),
)
@settings(max_examples=300, deadline=None)
@example([("wanted", 0.8), ("wanted", 0.79), ("wanted", 0.78), ("wanted", 0.77), ("missing", 0.5)], 0.9, 0.3)
def test_whoever_reaches_their_own_threshold_and_is_most_similar_matches(
    listed: list[tuple[str, float]], wanted: float, missing: float
) -> None:
    rules = {"wanted": CategoryRule(Kind.WANTED, wanted), "missing": CategoryRule(Kind.MISSING, missing)}
    entries = [entry(f"S{n:02}", at_similarity(s), category=c) for n, (c, s) in enumerate(listed)]
    exact = {e.subject_id: float(e.vector[0]) for e in entries}  # the other products are zero
    able = [e for e in entries if e.category in rules and exact[e.subject_id] >= rules[e.category].threshold]
    results = list(stage(entries, rules)([probe()]))
    assert len(results) == min(len(able), 1)
    if able:
        match = only(results)
        assert match.similarity == max(exact[e.subject_id] for e in able)
        others = [s for subject, s in exact.items() if subject != match.subject_id]
        assert match.margin == (match.similarity - max(others) if others else None)
