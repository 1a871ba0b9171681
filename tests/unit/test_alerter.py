"""The alerter's rules: confirmation over a track, one subject a track, one alert in a cool-down, replays repeat."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.alerter.stage import AlerterStage, ConfirmationRule, Scene
from overt.alerter.state import AlerterState, Cooldown
from overt.messages import Alert, Authority, Kind, Match
from overt.picture import Picture
from overt.ports import Reason, Reject

S = 1_000_000
PICTURE = Picture(bgr=np.zeros((2, 2, 3), np.uint8))
STAGE = AlerterStage(
    "d1",
    {"c1": Scene("s1", "gate")},
    {"suspect": ConfirmationRule(0.97, confirmations=2, within_us=5 * S)},
    cooldown_us=60 * S,
    authority=Authority.UNSIGNED,
)


def match(at_s: float, subject: str = "A", similarity: float = 0.95, track: str = "t1", **changes: object) -> Match:
    made = Match(
        camera_id="c1",
        source_epoch=1,
        frame_seq=int(at_s * 10),
        face_index=0,
        captured_at_us=int(at_s * S),
        track_id=track,
        subject_id=subject,
        entry_id=f"{subject}/1",
        category="suspect",
        kind=Kind.WANTED,
        similarity=similarity,
        threshold=0.94,
        margin=0.1,
        space_id="x/1",
        quality=0.8,
        thumbnail=PICTURE,
        context=None,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]  # field names are checked at run time


def run(matches: Sequence[Match], state: AlerterState | None = None) -> list[Alert | Reject]:
    return list(STAGE.step(state or STAGE.fresh("c1"), matches)[1])


def alerts(matches: Sequence[Match], state: AlerterState | None = None) -> list[Alert]:
    return [a for a in run(matches, state) if isinstance(a, Alert)]


def test_one_weak_match_is_no_alert() -> None:
    assert run([match(1)]) == []


def test_two_distinct_faces_of_a_track_confirm() -> None:
    (alert,) = alerts([match(1), match(1.5)])
    assert (alert.subject_id, alert.confirmations, alert.authority) == ("A", 2, Authority.UNSIGNED)


def test_faces_too_far_apart_do_not_confirm() -> None:
    assert run([match(1), match(7)]) == []


def test_one_strong_match_suffices() -> None:
    assert len(alerts([match(1, similarity=0.98)])) == 1


def test_matches_of_two_tracks_do_not_confirm_each_other() -> None:
    assert run([match(1, track="t1"), match(1.5, track="t2")]) == []


def test_a_track_alerts_for_its_best_subject_only() -> None:
    found = alerts(
        [
            match(1, "A", 0.95),
            match(1.2, "B", 0.96),
            match(1.4, "A", 0.95),
            match(1.6, "B", 0.955),
            match(1.8, "A", 0.95),
        ]
    )
    assert [a.subject_id for a in found] == ["B"]


def test_a_second_track_within_the_cool_down_is_silent_and_after_it_alerts() -> None:
    first = [match(1, similarity=0.98, track="t1")]
    soon = [match(30, similarity=0.98, track="t2")]
    later = [match(62, similarity=0.98, track="t3")]
    assert [a.track_id for a in alerts(first + soon + later)] == ["t1", "t3"]


def test_a_clock_that_is_set_back_silences_nobody_for_longer_than_a_cool_down() -> None:
    """A van whose clock was an hour fast until it had time from the network: its cool-downs lie in the future then."""
    fast = [match(3601, similarity=0.98, track="t1")]
    right = [match(5, similarity=0.98, track="t2"), match(30, similarity=0.98, track="t3")]
    assert [a.track_id for a in alerts(fast + right)] == ["t1", "t2"], "the second is new, the third a repetition of it"


def test_a_clock_that_is_set_back_a_little_repeats_nothing() -> None:
    made = alerts([match(100, similarity=0.98, track="t1"), match(98, similarity=0.98, track="t2")])
    assert [a.track_id for a in made] == ["t1"]


def test_evidence_lasts_as_long_as_the_category_lets_confirmations_take() -> None:
    patient = AlerterStage(
        "d1",
        {"c1": Scene("s1", "gate")},
        {"suspect": ConfirmationRule(0.97, confirmations=2, within_us=300 * S)},
        cooldown_us=60 * S,
        authority=Authority.UNSIGNED,
    )
    assert len(list(patient.step(patient.fresh("c1"), [match(1), match(200)])[1])) == 1


def test_after_losing_its_state_a_replay_repeats_the_same_alert() -> None:
    (first,) = alerts([match(1, similarity=0.98)])
    restored = AlerterState().with_cooldown(Cooldown("A", first.alert_id, first.captured_at_us))
    (again,) = alerts([match(1, similarity=0.98)], restored)
    assert again.alert_id == first.alert_id
    assert alerts([match(2, similarity=0.98, track="t2")], restored) == []


def test_unknown_camera_and_category_are_rejected() -> None:
    rejected = run([match(1, camera_id="c9"), match(1, category="other")])
    assert rejected == [Reject(0, Reason.UNKNOWN_CAMERA), Reject(1, Reason.UNKNOWN_CATEGORY)]


MATCHES = st.lists(
    st.builds(
        match,
        st.integers(0, 200).map(lambda n: n / 2),
        st.sampled_from("AB"),
        st.sampled_from([0.94, 0.955, 0.98]),
        st.sampled_from(["t1", "t2", "t3"]),
    ),
    max_size=30,
).map(lambda ms: sorted(ms, key=lambda m: m.captured_at_us))


@given(MATCHES, st.integers(0, 30))
@settings(max_examples=150, deadline=None)
def test_batch_boundaries_change_nothing(matches: list[Match], cut: int) -> None:
    whole_state, whole = STAGE.step(STAGE.fresh("c1"), matches)
    state, head = STAGE.step(STAGE.fresh("c1"), matches[:cut])
    state, tail = STAGE.step(state, matches[cut:])
    assert (state, [*head, *tail]) == (whole_state, list(whole))


@given(MATCHES)
@settings(max_examples=150, deadline=None)
def test_never_two_alerts_for_a_subject_within_a_cool_down_nor_two_for_a_track(matches: list[Match]) -> None:
    made = alerts(matches)
    for earlier, later in itertools.pairwise(made):
        if earlier.subject_id == later.subject_id:
            assert later.captured_at_us - earlier.captured_at_us >= 60 * S
    assert len({a.alert_id for a in made}) == len(made)
