"""What Redis loses of the alerter, the alerts topic tells: nobody alerts twice because a database restarted."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from overt.alerter.stage import AlerterStage, ConfirmationRule, Scene
from overt.alerter.state import AlerterState, Cooldown, Evidence, TrackEvidence
from overt.messages import Alert, Authority, Match
from overt.ports import Record
from overt.runtime.avro import AvroFormat, LocalRegistry
from overt.runtime.cooldowns import CooldownHistory
from overt.runtime.memory import MemoryBus
from overt.runtime.memory_log import MemoryLog
from tests.support import messages as make
from tests.support.messages import SCHEMAS, plain

S = 1_000_000
COOLDOWN_US = 60 * S
REMEMBERED_US = 120 * S  # a track, after its last match
AVRO = AvroFormat(SCHEMAS, LocalRegistry(SCHEMAS), lambda record: record)


def peek(record: Record) -> dict[str, Any]:
    return AVRO.loads("Alert", record.value)


class Topic:
    """The alerts topic of a bus whose clock a test sets, in seconds."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.bus = MemoryBus(lambda: int(self.now_s * S))
        self.bus.create("alerts", 1)
        self.sink = self.bus.sink()

    def write(self, *alerts: Alert | bytes | None) -> None:
        for item in alerts:
            value = AVRO.dumps("Alert", plain(item)) if isinstance(item, Alert) else item
            self.sink.produce("alerts", key="d1", value=value)

    def history(self, log: MemoryLog | None = None, *, span_s: float | None = None) -> CooldownHistory:
        return CooldownHistory(
            log or self.bus.log(),
            peek,
            "alerts",
            deployment_id="d1",
            span_us=None if span_s is None else int(span_s * S),
            track_us=REMEMBERED_US,
            clock=lambda: int(self.now_s * S),
        )


def alert(number: int, subject: str = "A", at_s: float = 0, **changes: object) -> Alert:
    return make.alert(
        alert_id=f"a{number}", subject_id=subject, track_id=f"t{number}", captured_at_us=int(at_s * S), **changes
    )


def test_cooldowns_and_settled_tracks_come_back_from_the_topic() -> None:
    topic = Topic()
    topic.write(alert(1, "A", 5), alert(2, "B", 7))
    state = topic.history().restore("c1", AlerterState())
    assert set(state.cooldowns) == {Cooldown("A", "a1", 5 * S), Cooldown("B", "a2", 7 * S)}
    assert {(t.track_id, t.settled, t.last_us) for t in state.tracks} == {("t1", True, 5 * S), ("t2", True, 7 * S)}


def test_the_latest_alert_of_a_subject_counts_in_whatever_order_they_stand() -> None:
    for order in itertools.permutations([alert(1, at_s=5), alert(2, at_s=70), alert(3, at_s=140)]):
        topic = Topic()
        topic.write(*order)
        state = topic.history().restore("c1", AlerterState())
        assert state.cooldowns == (Cooldown("A", "a3", 140 * S),)


def test_what_the_state_knows_better_stays() -> None:
    """A state that was not lost may be ahead of what was read: a later cool-down, evidence of open tracks."""
    topic = Topic()
    topic.write(alert(1, at_s=5))
    evidence = Evidence("B", 0.96, (6 * S, 8 * S))
    known = AlerterState(
        (TrackEvidence("t1", 9 * S, False, (evidence,)), TrackEvidence("t9", 9 * S, False, ())),
        (Cooldown("A", "a2", 80 * S),),
    )
    state = topic.history().restore("c1", known)
    assert state.cooldowns == known.cooldowns
    assert state.track("t1") == TrackEvidence("t1", 9 * S, True, (evidence,))
    assert state.track("t9") == known.track("t9")


def test_each_camera_gets_its_own_and_other_deployments_are_no_concern() -> None:
    topic = Topic()
    topic.write(alert(1, camera_id="c1"), alert(2, "B", camera_id="c2"), alert(3, "C", deployment_id="d2"))
    history = topic.history()
    assert [c.subject_id for c in history.restore("c1", AlerterState()).cooldowns] == ["A"]
    assert [c.subject_id for c in history.restore("c2", AlerterState()).cooldowns] == ["B"]
    assert history.restore("c3", AlerterState()) == AlerterState()


def test_what_cannot_be_read_is_passed_over() -> None:
    topic = Topic()
    topic.write(b"garbage", None, alert(1), b"")
    assert [c.alert_id for c in topic.history().restore("c1", AlerterState()).cooldowns] == ["a1"]


def test_only_the_last_span_of_the_topic_is_read() -> None:
    topic = Topic()
    for at_s in (10, 20, 30):
        topic.now_s = at_s
        topic.write(alert(at_s, f"S{at_s}", at_s))
    topic.now_s = 35
    assert [c.subject_id for c in topic.history(span_s=15).restore("c1", AlerterState()).cooldowns] == ["S20", "S30"]
    assert len(topic.history(span_s=None).restore("c1", AlerterState()).cooldowns) == 3


def test_cameras_that_are_loaded_together_share_one_reading() -> None:
    """A rebalance hands over many cameras at once, and the topic may be long."""
    topic = Topic()
    topic.write(alert(1))
    readings = 0

    class Counted(MemoryLog):
        def read(self, topic: str, *, since_us: int | None = None) -> Iterable[Record]:
            nonlocal readings
            readings += 1
            return super().read(topic, since_us=since_us)

    history = topic.history(Counted(topic.bus))
    for camera in ("c1", "c2", "c3"):
        history.restore(camera, AlerterState())
    assert readings == 1


STAGE = AlerterStage(
    "d1",
    {"c1": Scene("s1", "gate")},
    {"suspects": ConfirmationRule(0.97, confirmations=2, within_us=5 * S)},
    cooldown_us=COOLDOWN_US,
    authority=Authority.UNSIGNED,
)

MATCHES = st.lists(
    st.tuples(
        st.integers(1, 40),  # seconds since the one before
        st.sampled_from(["A", "B"]),
        st.sampled_from(["t1", "t2", "t3"]),
        st.sampled_from([0.95, 0.98]),
    ),
    max_size=25,
)


def matches(steps: Sequence[tuple[int, str, str, float]]) -> list[Match]:
    made, at_s = [], 0
    for number, (wait_s, subject, track, similarity) in enumerate(steps):
        at_s += wait_s
        made.append(
            make.match(
                frame_seq=number, captured_at_us=at_s * S, subject_id=subject, track_id=track, similarity=similarity
            )
        )
    return made


def alerts_of(state: AlerterState, batch: Sequence[Match]) -> tuple[AlerterState, list[Alert]]:
    state, results = STAGE.step(state, batch)
    return state, [r for r in results if isinstance(r, Alert)]


@given(MATCHES, st.integers(0, 25), st.integers(0, 3))
@settings(max_examples=300, deadline=None)
def test_losing_the_state_anywhere_gives_no_second_alert(
    steps: list[tuple[int, str, str, float]], cut: int, again: int
) -> None:
    """All is forgotten between two matches, and the last few before come again, as they do after a crash.

    The rule: one alert for a subject within the cool-down, and one for a track as long as a track is remembered.
    """
    all_matches = matches(steps)
    topic = Topic()
    _, before = alerts_of(AlerterState(), all_matches[:cut])
    topic.write(*before)
    restored = topic.history().restore("c1", AlerterState())
    _, after = alerts_of(restored, all_matches[max(0, min(cut, len(all_matches)) - again) :])
    told = list({a.alert_id: a for a in [*before, *after]}.values())
    for one, two in itertools.combinations(sorted(told, key=lambda a: a.captured_at_us), 2):
        apart_us = two.captured_at_us - one.captured_at_us
        if one.subject_id == two.subject_id:
            assert apart_us >= COOLDOWN_US
        if one.track_id == two.track_id:
            assert apart_us > REMEMBERED_US


@given(MATCHES, st.integers(0, 25))
@example([(1, "A", "t1", 0.98), (121, "A", "t1", 0.95), (1, "A", "t1", 0.95)], 2)  # forgotten, and begun anew
@settings(max_examples=100, deadline=None)
def test_restoring_a_state_that_was_not_lost_changes_no_answer(
    steps: list[tuple[int, str, str, float]], cut: int
) -> None:
    all_matches = matches(steps)
    topic = Topic()
    state, before = alerts_of(AlerterState(), all_matches[:cut])
    topic.write(*before)
    _, expected = alerts_of(state, all_matches[cut:])
    _, after = alerts_of(topic.history().restore("c1", state), all_matches[cut:])
    assert [a.alert_id for a in after] == [a.alert_id for a in expected]
