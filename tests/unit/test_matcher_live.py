"""The gallery that is changed while it answers: at any moment, and whatever serves, it is a dictionary searched by
brute force; who was removed is found no more."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.matcher.build import IndexBuild, Stopped
from overt.matcher.exact import ExactGallery
from overt.matcher.hnsw import HnswIndex
from overt.matcher.live import Answer, Kind, LiveGallery, Options
from overt.matcher.rows import BadEntry
from overt.messages import WatchlistEntry
from overt.ports import Candidate
from tests.support import messages as make
from tests.support.messages import DIMENSION, SPACE, unit

NOW = 50
WIDE = Options(smallest=1, probes=3000, efs=(512,), threshold=0.9)


def entry(number: int, seed: int, subject: int | None = None, **changes: object) -> WatchlistEntry:
    subject_id = f"S{number if subject is None else subject}"
    made: dict[str, object] = {"subject_id": subject_id, "vector": unit(seed)}
    return make.entry(entry_id=f"e{number:03}", **(made | changes))


def indexed(gallery: LiveGallery) -> LiveGallery:
    """The gallery, with an index over what it has, that serves whatever it costs and finds."""
    pytest.importorskip("hnswlib")
    index = HnswIndex(DIMENSION, 4)  # full at once: it has to grow
    index.ef = 512
    gallery.begin(index)
    index.behind.update(gallery.rows.row_of.values())
    gallery.decide(index, Answer(Kind.HNSW, "for a test", len(gallery)))
    gallery.tend(10_000)
    return gallery


def found(
    gallery: LiveGallery | ExactGallery, seeds: Sequence[int], subjects: int = 8
) -> Sequence[Sequence[Candidate]]:
    return gallery.search(np.stack([unit(seed) for seed in seeds]), subjects, [NOW] * len(seeds))


CHANGES = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 30), st.integers(0, 60), st.integers(0, 12)), max_size=6),
        st.lists(st.integers(0, 30), max_size=6),
        st.integers(0, 5),
    ),
    max_size=12,
)


@pytest.mark.parametrize("kind", list(Kind))
@given(changes=CHANGES, began_with=st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_any_sequence_of_changes_is_a_dictionary_searched_by_brute_force(
    kind: Kind, changes: list[tuple[list[tuple[int, int, int]], list[int], int]], began_with: int
) -> None:
    """Adds, removals and replacements in any order and at once, with an index that is more or less behind: the same
    candidates with the same similarities to the last bit as a gallery made of nothing but what is on the list."""
    gallery = LiveGallery(SPACE, DIMENSION)
    wanted = {f"e{n:03}": entry(n, n) for n in range(began_with)}
    gallery.apply(list(wanted.values()))
    if kind is Kind.HNSW:
        indexed(gallery)
    for adds, removes, tended in changes:
        added = [entry(number, seed, subject) for number, seed, subject in adds]
        gone = [f"e{number:03}" for number in removes]
        gallery.apply(added, gone)
        for entry_id in gone:
            wanted.pop(entry_id, None)
        wanted |= {e.entry_id: e for e in added}
        gallery.tend(tended)
        assert len(gallery) == len(wanted)
        assert {e for e in (f"e{n:03}" for n in range(31)) if e in gallery} == wanted.keys()
        reference = ExactGallery(SPACE, list(wanted.values()))
        assert found(gallery, range(0, 60, 7)) == found(reference, range(0, 60, 7))


@pytest.mark.parametrize("kind", list(Kind))
def test_validity_is_asked_of_the_probes_time_whatever_serves(kind: Kind) -> None:
    gallery = LiveGallery(SPACE, DIMENSION)
    gallery.apply([entry(n, n, valid_from_us=0 if n % 2 else 60, valid_until_us=100) for n in range(40)])
    if kind is Kind.HNSW:
        indexed(gallery)
    probe = unit(2)[None]
    assert "e002" not in {c.entry_id for c in gallery.search(probe, 40, [59])[0]}
    assert gallery.search(probe, 1, [60])[0][0].entry_id == "e002"
    assert len(gallery.search(probe, 40, [59])[0]) == 20
    assert gallery.search(probe, 40, [100]) == [[]]


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("size", [0, 1, 2, 50])
def test_as_many_candidates_as_there_are_subjects_and_never_more(kind: Kind, size: int) -> None:
    gallery = LiveGallery(SPACE, DIMENSION)
    gallery.apply([entry(n, n) for n in range(size)])
    if kind is Kind.HNSW:
        indexed(gallery)
    for subjects in (0, 1, size, size + 1, 1000):
        assert [len(c) for c in found(gallery, [3, 4], subjects)] == [min(subjects, size)] * 2


@pytest.mark.parametrize("kind", list(Kind))
def test_a_subject_with_many_images_hides_nobody(kind: Kind) -> None:
    crowd = [entry(n, 1, subject=0) for n in range(100)]
    gallery = LiveGallery(SPACE, DIMENSION)
    gallery.apply([*crowd, entry(200, 2), entry(201, 3)])
    if kind is Kind.HNSW:
        indexed(gallery)
    assert {c.subject_id for c in found(gallery, [1], 3)[0]} == {"S0", "S200", "S201"}


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (entry(9, 9, vector=np.full(DIMENSION, np.nan, np.float32)), "not finite"),
        (entry(9, 9, vector=unit(9) * np.float32(1.1)), "unit length"),
        (entry(9, 9, vector=unit(9, DIMENSION + 1)), "shape"),
        (entry(9, 9, space_id="other/2"), "model space other/2"),
    ],
    ids=["nan", "unnormalised", "dimension", "space"],
)
def test_a_bad_entry_is_refused_by_name_and_the_change_it_came_with_with_it(
    kind: Kind, bad: WatchlistEntry, said: str
) -> None:
    gallery = LiveGallery(SPACE, DIMENSION)
    gallery.apply([entry(1, 1), entry(2, 2)])
    if kind is Kind.HNSW:
        indexed(gallery)
    before = found(gallery, range(5))
    with pytest.raises(BadEntry, match=f"entry e009.*{said}") as caught:
        gallery.apply([entry(3, 3), bad], ["e001"])
    assert "[" not in str(caught.value)
    assert found(gallery, range(5)) == before


def test_a_removed_entry_is_zero_at_once_and_its_row_is_used_again() -> None:
    gallery = LiveGallery(SPACE, DIMENSION)
    gallery.apply([entry(n, n) for n in range(5)])
    (block,) = gallery.rows.blocks()
    gallery.apply(removes=["e002"])
    assert not block.matrix[2].any()
    gallery.apply([entry(7, 7)])
    assert np.array_equal(block.matrix[2], unit(7))
    assert gallery.rows.row_of["e007"] == 2


def test_the_rows_of_a_growing_gallery_never_move() -> None:
    """What was copied elsewhere would stay there when it is removed."""
    gallery = LiveGallery(SPACE, DIMENSION)
    gallery.apply([entry(0, 0)])
    row = gallery.rows.vector(0)
    many = [dataclasses.replace(entry(0, 1), entry_id=f"m{n}") for n in range(9000)]
    gallery.apply(many)
    assert np.shares_memory(row, gallery.rows.vector(0))
    assert len(list(gallery.rows.blocks())) == 2
    assert gallery.search(unit(1)[None], 1, [NOW])[0][0].entry_id == "m0"


def test_the_index_holds_nothing_of_a_removed_row_once_it_is_tended() -> None:
    gallery = indexed(_of(30))
    gallery.apply([entry(31, 31)], ["e004", "e005"])
    while gallery.tend(1):
        pass
    index = gallery._serving
    assert index is not None
    held = np.asarray(index._graph.get_items([row for row in range(30) if row != 5], return_type="numpy"))
    for gone in (4, 5):
        assert np.abs(held @ unit(gone)).max() < 0.999999


def test_a_search_sees_all_of_a_change_or_nothing_of_it() -> None:
    gallery = _of(20)
    stop, seen = threading.Event(), list[set[str]]()

    def look() -> None:
        while not stop.is_set():
            seen.append({c.entry_id for c in found(gallery, [1], 50)[0]} & {"e100", "e101"})

    thread = threading.Thread(target=look)
    thread.start()
    for turn in range(200):
        new, old = ("e100", "e101") if turn % 2 else ("e101", "e100")
        gallery.apply([entry(int(new[1:]), 7)], [old])
    stop.set()
    thread.join()
    assert seen
    assert all(len(pair) <= 1 for pair in seen)


# Making an index and choosing what serves


class Clock:
    """A clock that the searches themselves move: what is compared costs what a test says."""

    def __init__(self, costs: Sequence[float]) -> None:
        self.now, self.turn, self.costs = 0.0, 0, costs

    def __call__(self) -> float:
        """Called before and after each batch; the first half of the batches are of the exact answer."""
        if self.turn % 2:
            self.now += self.costs[min(self.turn // 14, len(self.costs) - 1)]
        self.turn += 1
        return self.now


def _of(size: int, options: Options = WIDE) -> LiveGallery:
    gallery = LiveGallery(SPACE, DIMENSION, options)
    gallery.apply([entry(n, n) for n in range(size)])
    return gallery


def test_an_index_that_costs_less_and_whose_recall_holds_serves() -> None:
    pytest.importorskip("hnswlib")
    gallery = _of(300)
    answer = IndexBuild(gallery, Clock([2.0, 1.0])).run()
    assert (answer.kind, gallery.answer) == (Kind.HNSW, answer)
    assert answer.recall is not None
    assert answer.recall.tried >= 3000
    assert answer.recall.lower >= 0.999
    assert [answer.exact_s, answer.hnsw_s] == pytest.approx([2 / 16, 1 / 16])
    assert found(gallery, range(9)) == found(ExactGallery(SPACE, [entry(n, n) for n in range(300)]), range(9))


def test_an_index_that_costs_more_does_not_serve() -> None:
    pytest.importorskip("hnswlib")
    gallery = _of(100)
    answer = IndexBuild(gallery, Clock([1.0, 2.0])).run()
    assert (answer.kind, gallery.answer.kind) == (Kind.EXACT, Kind.EXACT)
    assert "costs no less" in answer.reason


def test_ef_is_raised_until_the_recall_holds_and_else_everybody_is_compared() -> None:
    """A graph of two links a node loses people at any small ef."""
    pytest.importorskip("hnswlib")
    sparse = dataclasses.replace(WIDE, links=2, width=2, efs=(1, 2))
    gallery = _of(600, sparse)
    answer = IndexBuild(gallery, Clock([2.0, 1.0])).run()
    assert answer.kind is Kind.EXACT
    assert "loses people" in answer.reason
    assert answer.recall is not None
    assert (answer.recall.ef, answer.recall.lower < 0.999) == (2, True)
    raised = _of(600, dataclasses.replace(sparse, links=3, width=6, efs=(1, 512)))
    answer = IndexBuild(raised, Clock([2.0, 1.0])).run()
    assert answer.recall is not None
    assert (answer.kind, answer.recall.ef) == (Kind.HNSW, 512)


def test_an_index_of_a_long_list_is_given_up_where_it_loses_people_in_a_part_of_it() -> None:
    pytest.importorskip("hnswlib")
    sparse = dataclasses.replace(WIDE, links=2, width=2, efs=(1, 2), trial=200)
    done: list[int] = []
    gallery = _of(700, sparse)
    build = IndexBuild(gallery, Clock([2.0, 1.0]), lambda what, n, _: done.append(n) if what == "building" else None)
    answer = build.run()
    assert (answer.kind, gallery.answer) == (Kind.EXACT, answer)
    assert "among the first 200 entries the index already loses" in answer.reason
    assert answer.recall is not None
    assert answer.recall.upper < 0.999
    assert max(done) < 300, "the rest was not put in"
    assert not gallery.wants_index()


def test_an_index_of_a_long_list_that_loses_nobody_in_a_part_of_it_is_finished_and_serves() -> None:
    pytest.importorskip("hnswlib")
    gallery = _of(300, dataclasses.replace(WIDE, trial=100))
    assert IndexBuild(gallery, Clock([2.0, 1.0])).run().kind is Kind.HNSW
    assert found(gallery, range(9)) == found(ExactGallery(SPACE, [entry(n, n) for n in range(300)]), range(9))


def test_what_changes_while_an_index_is_built_is_in_it_and_what_was_removed_is_not() -> None:
    pytest.importorskip("hnswlib")
    gallery = _of(300, dataclasses.replace(WIDE, probes=3100))
    wanted = {n: entry(n, n) for n in range(300)}
    changes = iter(range(10_000))

    def progress(what: str, done: int, total: int) -> None:
        number = next(changes)
        assert found(gallery, [number % 300])[0], "it goes on answering"
        gallery.apply([entry(400 + number, 1000 + number)], [f"e{number:03}"])
        wanted.pop(number, None)
        wanted[400 + number] = entry(400 + number, 1000 + number)

    answer = IndexBuild(gallery, Clock([2.0, 1.0]), progress).run()
    assert answer.kind is Kind.HNSW
    gallery.tend(1000)
    seeds = [*range(0, 300, 13), *range(1000, 1009)]
    assert found(gallery, seeds) == found(ExactGallery(SPACE, list(wanted.values())), seeds)


def test_without_hnswlib_everybody_is_compared_and_the_answer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overt.matcher.hnsw.library", lambda: None)
    gallery = _of(30)
    answer = IndexBuild(gallery, Clock([1.0])).run()
    assert (answer.kind, gallery.answer) == (Kind.EXACT, answer)
    assert "install the extra `hnsw`" in answer.reason
    assert not gallery.wants_index(), "it is not tried again and again"


def test_where_there_is_no_room_for_an_index_everybody_is_compared_and_the_answer_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("hnswlib")
    monkeypatch.setattr(IndexBuild, "_fresh", lambda _: HnswIndex(DIMENSION, 10**13))
    gallery = _of(100)
    answer = IndexBuild(gallery, Clock([1.0])).run()
    assert answer.kind is Kind.EXACT
    assert "no memory for an index of 10000000000000 entries" in answer.reason
    assert not gallery.wants_index(), "it is not tried again and again"
    assert len(found(gallery, range(3))) == 3


def test_a_building_that_is_called_off_leaves_what_served() -> None:
    pytest.importorskip("hnswlib")
    gallery = indexed(_of(100))
    before = gallery.answer
    with pytest.raises(Stopped):
        IndexBuild(gallery, Clock([1.0]), stopped=lambda: True).run()
    assert gallery.answer is before
    assert found(gallery, [5])[0][0].entry_id == "e005"


def test_an_index_is_wanted_for_a_long_list_and_again_after_a_tenth_has_changed() -> None:
    gallery = _of(99, dataclasses.replace(WIDE, smallest=100 * DIMENSION))
    assert not gallery.wants_index()
    gallery.apply([entry(n, n) for n in range(99, 100)])
    assert gallery.wants_index()
    gallery.decide(None, Answer(Kind.EXACT, "it was tried", 100))
    gallery._changed = 0
    gallery.apply([entry(n, n + 1) for n in range(10)])
    assert not gallery.wants_index()
    gallery.apply([entry(11, 12)])
    assert gallery.wants_index()


@pytest.mark.parametrize("count", [500, 2500])
def test_a_change_too_large_for_the_index_lets_it_go(count: int) -> None:
    """A few hundred removed vectors are the most that it overwrites in time; a few thousand new ones the most that are
    compared beside it."""
    gallery = indexed(_of(600))
    added = [dataclasses.replace(entry(0, n), entry_id=f"n{n}") for n in range(count if count > 600 else 0)]
    gallery.apply(added, [f"e{n:03}" for n in range(count)])
    assert gallery.answer.kind is Kind.EXACT
    assert gallery.wants_index()
    assert found(gallery, [599 if count == 500 else 3])[0][0].similarity == pytest.approx(1, abs=1e-6)


def test_two_builds_of_one_list_are_the_same_graph_whatever_the_order_it_came_in() -> None:
    pytest.importorskip("hnswlib")
    entries = [entry(n, n) for n in range(400)]
    answers = []
    for order in (entries, entries[::-1]):
        gallery = LiveGallery(
            SPACE, DIMENSION, dataclasses.replace(WIDE, efs=(1,), links=2, width=2, target=0.0, probes=99)
        )
        gallery.apply(order)
        assert IndexBuild(gallery, Clock([2.0, 1.0])).run().kind is Kind.HNSW
        answers.append(found(gallery, range(1000, 1040), 1))
    assert answers[0] == answers[1]
    exact = found(ExactGallery(SPACE, entries), range(1000, 1040), 1)
    assert answers[0] != exact, "the graph is poor enough for two different ones to differ"
