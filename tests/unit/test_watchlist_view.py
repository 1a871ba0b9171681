"""A matcher's view of the watchlist is what is on the topic: whatever came, in whatever way, and nothing else."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.messages import Message, Vector, WatchlistEntry
from overt.picture import Picture
from overt.ports import Codec, Follower, KeyGone, NotAuthentic, Record, Unavailable, Undecodable
from overt.runtime.codec import PassingCodec
from overt.runtime.memory import MemoryBus
from overt.runtime.metrics import Metrics
from overt.runtime.watchlist import following
from overt.runtime.watchlist.following import WatchlistView
from overt.runtime.wipe import wipe
from tests.support import messages as make
from tests.support.messages import DIMENSION, SPACE, unit


class ShakyCodec:
    """Hands messages over; a value that is an exception is raised instead."""

    def encode(self, message: Message) -> Any:
        return message

    def decode(self, record: Record) -> Message:
        if isinstance(record.value, Exception):
            raise record.value
        message: Message = record.value
        return message


class Impatient:
    """A follower that never waits for more, so that no test does. It remembers whether it was closed."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self.closed = 0

    def poll(self, most: int, timeout_s: float) -> Sequence[Record]:
        return self._follower.poll(most, 0.0)

    def caught_up(self) -> bool:
        return self._follower.caught_up()

    def close(self) -> None:
        self.closed += 1


class Topic:
    """The watchlist topic, and a view of it that a test turns by hand."""

    def __init__(self, codec: Codec | None = None, partitions: int = 1, **hooks: Any) -> None:
        self.bus = MemoryBus(lambda: 0)
        self.bus.create("watchlist", partitions)
        self.sink = self.bus.sink()
        self.metrics = Metrics()
        self.follow: Callable[[], Follower] = lambda: Impatient(self.bus.log().follow("watchlist"))
        self.view = WatchlistView(
            lambda: self.follow(),
            codec or PassingCodec(),
            deployment_id="d1",
            space_id=SPACE,
            dimension=DIMENSION,
            categories=["suspects"],
            metrics=self.metrics,
            **hooks,
        )

    def put(self, *entries: WatchlistEntry) -> None:
        for entry in entries:
            self.sink.produce("watchlist", key=entry.entry_id, value=entry)

    def write(self, key: str, value: object) -> None:
        self.sink.produce("watchlist", key=key, value=value)

    def turn(self, times: int = 4) -> None:
        for _ in range(times):
            self.view.follow()

    def listed(self) -> dict[str, str]:
        """Entry to subject, as the gallery has them: found by what it answers, not by looking into it."""
        gallery = self.view.gallery()
        found = {}
        for seed in range(40):
            for candidate in gallery.search(unit(seed)[None], len(gallery), [50])[0]:
                if candidate.similarity > 0.999:
                    found[candidate.entry_id] = candidate.subject_id
        return found

    def refused(self) -> dict[str, float]:
        return {
            s.labels["reason"]: s.value
            for family in self.metrics.watchlist_refused.collect()
            for s in family.samples
            if s.name.endswith("_total")
        }

    def entries_metric(self) -> float | None:
        return self.metrics.registry.get_sample_value("overt_gallery_entries")


def entry(number: int, seed: int | None = None, **changes: object) -> WatchlistEntry:
    """An entry of a subject of its own, with the vector of a seed."""
    made: dict[str, object] = {"subject_id": f"S{number}", "vector": unit(number if seed is None else seed)}
    return make.entry(entry_id=f"e{number}", **(made | changes))


def test_what_is_on_the_topic_can_match_and_what_comes_later_too() -> None:
    topic = Topic()
    topic.put(entry(1), entry(2))
    topic.turn()
    assert topic.listed() == {"e1": "S1", "e2": "S2"}
    topic.put(entry(3))
    topic.turn()
    assert topic.listed() == {"e1": "S1", "e2": "S2", "e3": "S3"}
    assert topic.entries_metric() == 3


class Opening:
    """Decodes each record to a new entry, as a codec that opens sealed pictures does."""

    def encode(self, message: Message) -> Any:
        return message

    def decode(self, record: Record) -> Message:
        return entry(int(record.value), reference_image=Picture(encoded=b"reference image %d" % int(record.value)))


def test_no_reference_image_is_kept_in_memory() -> None:
    """A matcher of a large list would else hold a picture of everybody on it for as long as it runs."""
    topic = Topic(Opening())
    for number in range(3):
        topic.write(f"e{number}", number)
    topic.turn()
    assert topic.listed() == {"e0": "S0", "e1": "S1", "e2": "S2"}
    pictures = [thing for thing in gc.get_objects() if isinstance(thing, Picture)]
    assert not [picture for picture in pictures if (picture._encoded or b"").startswith(b"reference image")]


def test_a_tombstone_removes_an_entry() -> None:
    topic = Topic()
    topic.put(entry(1), entry(2))
    topic.write("e1", None)
    topic.turn()
    assert topic.listed() == {"e2": "S2"}
    topic.write("e2", None)
    topic.turn()
    assert topic.listed() == {}
    assert topic.entries_metric() == 0
    assert topic.refused() == {}


def test_a_tombstone_for_nobody_and_one_that_comes_again_change_nothing() -> None:
    topic = Topic()
    topic.write("e9", None)
    topic.put(entry(1))
    topic.write("e9", None)
    topic.write("e9", None)
    topic.turn()
    assert topic.listed() == {"e1": "S1"}


def test_the_last_record_of_a_key_counts_however_often_and_in_which_order_they_came() -> None:
    topic = Topic()
    newer, older = entry(1, seed=11, enrolled_at_us=9), entry(1, seed=12, enrolled_at_us=3)
    topic.put(newer, newer, older, entry(2), older)  # a re-enrolment that was put back: the topic's order decides
    topic.turn()
    assert topic.listed() == {"e1": "S1", "e2": "S2"}
    similarity = topic.view.gallery().search(unit(12)[None], 1, [50])[0][0].similarity
    assert similarity == pytest.approx(1, abs=1e-6)


def test_an_entry_that_was_removed_does_not_come_back() -> None:
    """From a replay, a file or a late writer. Who is listed again gets a new entry."""
    topic = Topic()
    topic.put(entry(1), entry(2))
    topic.turn()
    topic.write("e1", None)
    topic.put(entry(1, seed=5, revision=9), entry(1))
    topic.turn()
    topic.put(entry(1, seed=6, revision=10))
    topic.turn()
    assert topic.listed() == {"e2": "S2"}
    assert topic.refused()["removed"] == 3


@given(st.permutations([entry(1, seed=n, revision=n) for n in range(5)] * 2), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_duplicate_late_and_out_of_order_updates_change_nothing(entries: list[WatchlistEntry], most: int) -> None:
    """The highest revision counts, in whichever order and however often they come."""
    topic = Topic()
    topic.put(*entries)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(following, "_MOST", most)
        topic.turn(len(entries) + 2)
    gallery = topic.view.gallery()
    assert len(gallery) == 1
    assert gallery.search(unit(4)[None], 1, [50])[0][0].similarity == pytest.approx(1, abs=1e-6)


class Told:
    """Remembers which changes were acknowledged; away for as long as a test says."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.is_here = False
        self.away = False

    def attends(self) -> bool:
        return self.is_here

    def here(self) -> None:
        self.is_here = True

    def left(self) -> None:
        self.is_here = False

    def acknowledge(self, change_id: str, /) -> None:
        if self.away:
            raise Unavailable("nobody to tell")
        self.changes.append(change_id)


def test_a_matcher_is_waited_for_from_when_it_is_ready_until_it_ends() -> None:
    """One that is not ready compares nothing; when it is, it has every change behind it."""
    told = Told()
    topic = Topic(attendance=told)
    topic.put(entry(1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(following, "_MOST", 1)
        topic.put(entry(2))
        topic.turn(1)
        assert not told.attends()
        topic.turn(2)
    assert topic.view.ready()
    assert told.attends()
    topic.view.close()
    assert not told.attends()


def test_a_change_is_acknowledged_when_it_counts_and_each_one_also_where_nobody_could_be_told() -> None:
    told = Told()
    topic = Topic(attendance=told)
    for number in (1, 2):
        topic.sink.produce("watchlist", key=f"e{number}", value=entry(number), headers={"change": f"c{number}"})
    topic.put(entry(3))
    topic.turn()
    assert told.changes == ["c1", "c2"], "nobody waits for what carries no change"
    told.away = True
    topic.sink.produce("watchlist", key="e1", value=None, headers={"change": "c3"})
    topic.turn()
    assert topic.listed().keys() == {"e2", "e3"}, "the change counts, told or not"
    told.away = False
    topic.turn()
    assert told.changes == ["c1", "c2", "c3"]


def test_a_vector_is_overwritten_where_it_came_from() -> None:
    spent: list[int] = []

    def spend(vector: Vector) -> None:
        spent.append(id(vector))

    topic = Topic(spend=spend)
    first, second, third = entry(1), entry(1, revision=1), entry(2)
    topic.put(first, second, third)
    topic.turn()
    assert sorted(spent) == sorted(id(e.vector) for e in (first, second, third))


def test_wiping_reaches_the_bytes_that_a_vector_is_a_view_of() -> None:
    plaintext = bytes(bytearray(unit(3).tobytes()))
    vector = np.frombuffer(plaintext, np.float32)
    wipe(vector)
    assert plaintext == bytes(len(plaintext))


STEPS = st.lists(
    st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 39))) | st.just(("turn", 0)), max_size=40
)


@given(STEPS, st.sampled_from([1, 3]), st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_any_sequence_of_puts_and_removals_equals_a_dictionary(
    steps: list[tuple[int | str, int | None]], partitions: int, most: int
) -> None:
    """Also when the topic is read in small pieces, and looked at in between."""
    topic = Topic(partitions=partitions)
    wanted: dict[str, int] = {}
    gone: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(following, "_MOST", most)
        topic.turn(1)
        for number, seed in steps:
            if isinstance(number, str):
                topic.turn(1)
            elif seed is None:
                topic.write(f"e{number}", None)
                wanted.pop(f"e{number}", None)
                gone.add(f"e{number}")
            else:
                topic.put(entry(number, seed=seed))
                if f"e{number}" not in gone:
                    wanted[f"e{number}"] = seed
        topic.turn(len(steps) + 2)
    assert topic.view.ready()
    gallery = topic.view.gallery()
    assert len(gallery) == len(wanted)
    assert topic.listed().keys() == wanted.keys()
    for entry_id, seed in wanted.items():
        candidates = gallery.search(unit(seed)[None], len(gallery), [50])[0]
        assert [c.similarity for c in candidates if c.entry_id == entry_id] == [pytest.approx(1, abs=1e-6)]


BAD = {
    "other_deployment": entry(1, deployment_id="d2"),
    "misplaced": make.entry(entry_id="e77", subject_id="S1", vector=unit(1)),
}
UNUSABLE = {
    "unlisted_category": entry(1, category="of-another-deployment"),
    "other space": entry(1, space_id="other/2"),
    "not a number": entry(1, vector=np.full(DIMENSION, np.nan, np.float32)),
    "infinite": entry(1, vector=np.full(DIMENSION, np.inf, np.float32)),
    "too long": entry(1, vector=unit(1, DIMENSION + 1)),
    "too short": entry(1, vector=unit(1, DIMENSION - 1)),
    "empty": entry(1, vector=np.zeros(0, np.float32)),
    "zero": entry(1, vector=np.zeros(DIMENSION, np.float32)),
    "not of unit length": entry(1, vector=unit(1) * np.float32(1.1)),
}
UNREADABLE = {
    "key_gone": KeyGone("the entry key of a payload was destroyed"),
    "undecodable": Undecodable("the bytes are no WatchlistEntry"),
    "not_authentic": NotAuthentic("a sealed payload was changed"),
}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        *((value, reason) for reason, value in BAD.items()),
        *((value, "unusable") for value in UNUSABLE.values()),
        *((value, name) for name, value in UNREADABLE.items()),
    ],
    ids=[*BAD, *UNUSABLE, *UNREADABLE],
)
@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "between", "last"])
def test_what_cannot_enter_is_refused_counted_and_named_and_hinders_nobody(
    value: object, reason: str, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    topic = Topic(ShakyCodec())
    records: list[tuple[str, object]] = [("e2", entry(2)), ("e3", entry(3))]
    records.insert(place, ("e1", value))
    for key, item in records:
        topic.write(key, item)
    with caplog.at_level(logging.WARNING):
        topic.turn()
    assert topic.view.ready()
    assert topic.listed() == {"e2": "S2", "e3": "S3"}
    assert topic.refused() == {reason: 1}
    (line,) = [r.getMessage() for r in caplog.records]
    assert line.startswith("matcher: watchlist entry e1 is left out: ")
    assert "[" not in line, "no vector is shown"


@pytest.mark.parametrize(
    "value", [*BAD.values(), *UNUSABLE.values(), *UNREADABLE.values()], ids=[*BAD, *UNUSABLE, *UNREADABLE]
)
def test_a_refused_record_takes_the_place_of_the_one_before_it(value: object) -> None:
    """The last record of a key counts: what it replaced may not match any more. A destroyed key ends its entry."""
    topic = Topic(ShakyCodec())
    topic.put(entry(1), entry(2))
    topic.turn()
    topic.write("e1", value)
    topic.turn()
    assert topic.listed() == {"e2": "S2"}


def test_a_copy_under_another_key_does_not_outlive_its_tombstone() -> None:
    """Whoever can write to the topic could otherwise keep a removed person on the list."""
    topic = Topic()
    topic.put(entry(1))
    topic.write("e-copy", entry(1))
    topic.write("e1", None)
    topic.turn()
    assert topic.listed() == {}


def test_it_is_not_ready_before_everything_that_was_there_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A matcher that answered sooner would let people pass who are on the list."""
    monkeypatch.setattr(following, "_MOST", 2)
    topic = Topic()
    topic.put(*(entry(n) for n in range(7)))
    seen = []
    for _ in range(6):
        seen.append((topic.view.ready(), len(topic.view.gallery())))
        topic.view.follow()
    assert {count for ready, count in seen if ready} <= {7}
    assert not seen[0][0]
    assert topic.view.ready()


def test_a_broker_that_hands_out_nothing_yet_is_not_mistaken_for_an_empty_list() -> None:
    """Kafka's first polls come back empty while it still connects, and later ones with less than was asked for."""
    topic = Topic()
    topic.put(*(entry(n) for n in range(3)))

    class Slow(Impatient):
        pieces = iter([0, 0, 1, 0, 1, 0])

        def poll(self, most: int, timeout_s: float) -> Sequence[Record]:
            return super().poll(next(self.pieces, most), timeout_s)

    follower = Slow(topic.follow())
    topic.follow = lambda: follower
    for _ in range(6):
        topic.view.follow()
        assert not topic.view.ready()
    topic.view.follow()
    assert topic.view.ready()
    assert len(topic.view.gallery()) == 3


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_it_becomes_ready_whatever_the_list_is_long(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the last piece is just as large as a piece may be, and when the list is empty."""
    monkeypatch.setattr(following, "_MOST", 2)
    topic = Topic()
    topic.put(*(entry(n) for n in range(count)))
    topic.turn(count // 2 + 2)
    assert topic.view.ready()
    assert len(topic.view.gallery()) == count


def test_an_empty_list_is_told(caplog: pytest.LogCaptureFixture) -> None:
    topic = Topic()
    with caplog.at_level(logging.WARNING):
        topic.turn()
    assert topic.view.ready()
    assert "nobody can be found" in caplog.text


def test_it_stays_ready_while_more_comes() -> None:
    topic = Topic()
    topic.turn()
    topic.put(entry(1))
    topic.turn(1)
    assert topic.view.ready()


class Interrupted:
    """A vault that is away for some of its calls; it opens everything in between."""

    def __init__(self, away: Sequence[bool]) -> None:
        self._away: Iterator[bool] = iter(away)

    def encode(self, message: Message) -> Any:
        return message

    def decode(self, record: Record) -> Message:
        if next(self._away, False):
            raise Unavailable("the keyring cannot be read")
        message: Message = record.value
        return message


@given(st.lists(st.booleans(), max_size=12))
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_while_the_keyring_is_away(away: list[bool]) -> None:
    topic = Topic(Interrupted(away))
    topic.put(*(entry(n) for n in range(5)))
    topic.write("e0", None)
    for _ in range(len(away) + 3):
        try:
            topic.view.follow()
        except Unavailable:
            assert not topic.view.ready()
    assert topic.view.ready()
    assert topic.listed() == {f"e{n}": f"S{n}" for n in range(1, 5)}


def test_a_broker_that_is_away_is_told_and_asked_again() -> None:
    topic = Topic()
    topic.put(entry(1))
    real = topic.follow
    calls = iter([Unavailable("broker"), Unavailable("broker")])

    def follow() -> Follower:
        for error in calls:
            raise error
        return real()

    topic.follow = follow
    for _ in range(2):
        with pytest.raises(Unavailable):
            topic.view.follow()
    topic.turn()
    assert topic.view.ready()
    assert topic.listed() == {"e1": "S1"}


def test_a_removed_entry_is_found_by_no_search_also_with_a_gallery_handed_out_before() -> None:
    topic = Topic()
    topic.put(entry(1))
    topic.turn()
    before = topic.view.gallery()
    topic.write("e1", None)
    topic.turn()
    assert before.search(unit(1)[None], 1, [50]) == [[]]


def test_it_says_how_look_ups_are_answered() -> None:
    topic = Topic()
    topic.put(entry(1))
    topic.turn()
    (sample,) = [s for f in topic.metrics.gallery.collect() for s in f.samples]
    assert sample.labels == {"kind": "exact", "space": SPACE}


def test_closing_closes_what_was_opened_and_nothing_else() -> None:
    topic = Topic()
    follower = Impatient(topic.follow())
    topic.follow = lambda: follower
    topic.view.close()
    assert follower.closed == 0
    topic.turn()
    topic.view.close()
    assert follower.closed == 1
