"""Counts are a function of the set of facts: order, repeats and lateness change nothing."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from overt.messages import AcquisitionFailure, Fact, FactKind, Kind, SiteStats, StatsWindow, Verdict
from overt.runtime.avro import to_plain
from overt.statistics.facts import SOURCES, Scope, of_adjudication, of_alert, of_match, of_pass
from overt.statistics.tally import MINUTE_US, Tally
from tests.support import messages as make

HOUR_US = 60 * MINUTE_US
SCOPE = Scope("d1", (0, HOUR_US), {"c1": None, "c2": None, "film": 5 * HOUR_US})

_TIMES = st.integers(0, HOUR_US - 1)
_CAMERAS = st.sampled_from(["c1", "c2"])
_NUMBERS = st.integers(0, 12)


def passing(number: int, camera: str, at_us: int, failed: bool) -> Fact:
    failure = AcquisitionFailure.TOO_SMALL if failed else None
    return Fact(f"pass/{number}", "d1", FactKind.PASS, at_us, camera, failure=failure)


def alert(number: int, camera: str, at_us: int, kind: Kind = Kind.WANTED) -> Fact:
    return Fact(f"alert/{number}", "d1", FactKind.ALERT, at_us, camera, f"of-{kind}", kind, alert_id=str(number))


def match(number: int, camera: str, at_us: int) -> Fact:
    return Fact(f"match/{number}", "d1", FactKind.MATCH, at_us, camera, "of-wanted", Kind.WANTED)


def judged(number: int, alert_number: int, at_us: int, verdict: Verdict) -> Fact:
    return Fact(f"judged/{number}", "d1", FactKind.ADJUDICATION, at_us, alert_id=str(alert_number), verdict=verdict)


FACTS = st.one_of(
    st.builds(passing, _NUMBERS, _CAMERAS, _TIMES, st.booleans()),
    st.builds(alert, _NUMBERS, _CAMERAS, _TIMES, st.sampled_from(Kind)),
    st.builds(match, _NUMBERS, _CAMERAS, _TIMES),
    st.builds(judged, st.integers(0, 30), _NUMBERS, st.integers(0, 3), st.sampled_from(Verdict)),
)
DAYS = st.lists(FACTS, max_size=60, unique_by=lambda fact: fact.fact_id)
"""An identity stands for one content, as identities made from causes do."""


def tally_of(facts: Sequence[Fact]) -> Tally:
    tally = Tally(SCOPE, "s1")
    for fact in facts:
        tally.add(fact)
    return tally


def recounted(facts: Sequence[Fact], camera: str | None, start_us: int, end_us: int) -> Counter[str]:
    """A window in the plainest way."""
    judgements = sorted((f for f in facts if f.fact is FactKind.ADJUDICATION), key=lambda f: (f.at_us, f.fact_id))
    last = {f.alert_id: f.verdict for f in judgements}
    counts: Counter[str] = Counter()
    for fact in facts:
        if fact.camera_id is None or not start_us <= fact.at_us < end_us or camera not in (None, fact.camera_id):
            continue
        counts[{"pass": "passes", "match": "matches", "alert": "alerts"}[fact.fact]] += 1
        counts["failures_to_acquire"] += fact.failure is not None
        if fact.fact is FactKind.ALERT and fact.alert_id in last:
            counts[f"judged_{last[fact.alert_id]}"] += 1
    return counts


NAMES = ("passes", "failures_to_acquire", "matches", "alerts", "judged_true", "judged_false", "judged_unsure")


@given(DAYS, st.randoms(use_true_random=False))
def test_order_and_repeats_change_nothing(facts: list[Fact], chance: random.Random) -> None:
    told_again = facts + chance.choices(facts, k=len(facts)) if facts else []
    chance.shuffle(told_again)
    assert tally_of(told_again).windows() == tally_of(facts).windows()
    assert tally_of(told_again).minutes() == tally_of(facts).minutes()


@given(DAYS)
def test_every_window_equals_a_recount_and_none_is_missing(facts: list[Fact]) -> None:
    windows = tally_of(facts).windows()
    for stats in windows:
        counts = recounted(facts, stats.camera_id, stats.start_us, stats.end_us)
        assert {name: getattr(stats, name) for name in NAMES} == {name: counts[name] for name in NAMES}
        for name in ("matches", "alerts", "judged_true", "judged_false", "judged_unsure"):
            assert sum(getattr(category, name) for category in stats.categories) == getattr(stats, name)
    minutes = {(f.camera_id, f.at_us // MINUTE_US * MINUTE_US) for f in facts if f.camera_id is not None}
    told = {(s.camera_id, s.start_us) for s in windows if s.window is StatsWindow.MINUTE}
    assert told == minutes | {(None, start) for _, start in minutes}


@given(DAYS)
def test_what_is_told_when_it_changes_adds_up_to_the_whole(facts: list[Fact]) -> None:
    """Whoever keeps the last of each window has every window as it is."""
    tally, kept = Tally(SCOPE, "s1"), dict[str, SiteStats]()
    for fact in facts:
        tally.add(fact)
        kept |= {stats.window_id: stats for stats in tally.take_touched(0)}
    assert sorted(kept.values(), key=str) == sorted(tally.windows(), key=str)
    assert tally.take_touched(0) == []


def test_a_fact_that_comes_again_is_no_new_one_but_its_windows_are_told_again() -> None:
    tally, fact = Tally(SCOPE, "s1"), passing(1, "c1", 0, False)
    assert tally.add(fact)
    first = tally.take_touched(7)
    assert not tally.add(fact)
    assert [s.passes for s in tally.take_touched(9)] == [1] * 6 == [s.passes for s in first]


def test_windows_are_a_minute_a_quarter_of_an_hour_and_the_deployment_for_camera_and_site() -> None:
    stats = tally_of([passing(1, "c1", 16 * MINUTE_US + 5, True)]).windows()
    spans = {(s.camera_id, s.window.value, s.start_us // MINUTE_US, s.end_us // MINUTE_US) for s in stats}
    wanted = {("minute", 16, 17), ("quarter_hour", 15, 30), ("deployment", 0, 60)}
    assert spans == {(camera, *span) for camera in ("c1", None) for span in wanted}


def test_the_last_judgement_counts_in_the_windows_of_its_alert_however_late_it_came() -> None:
    facts = [judged(2, 1, 9, Verdict.FALSE), judged(1, 1, 8, Verdict.TRUE), alert(1, "c1", 30 * MINUTE_US)]
    tally = tally_of(facts)
    assert {(s.judged_true, s.judged_false) for s in tally.windows()} == {(0, 1)}
    assert tally.unjudged() == 0
    assert [(m.start_us // MINUTE_US, m.false_alerts, m.unjudged_alerts) for m in tally.minutes()] == [(30, 1, 0)]


def test_an_alert_that_nobody_judged_is_known_as_such() -> None:
    tally = tally_of([alert(1, "c1", 0), alert(2, "c2", 0), judged(1, 2, 5, Verdict.UNSURE)])
    assert tally.unjudged() == 1
    assert [m.unjudged_alerts for m in tally.minutes()] == [1]


def test_facts_of_another_deployment_are_passed_over() -> None:
    tally = Tally(Scope("d2", (0, HOUR_US), {"c1": None}), "s1")
    assert not tally.add(passing(1, "c1", 0, False))
    assert tally.windows() == []


def plain(message: Any, **changes: Any) -> dict[str, Any]:
    return {**to_plain(message), **changes}


def test_each_record_becomes_a_fact_that_says_nobodys_subject() -> None:
    facts = [
        of_pass(SCOPE, plain(make.passing())),
        of_match(SCOPE, plain(make.match())),
        of_alert(SCOPE, plain(make.alert())),
        of_adjudication(SCOPE, plain(make.adjudication(note="a note", by="operator"))),
    ]
    assert [f.fact for f in facts if f is not None] == list(FactKind)
    for word in ("subject_id", "operator", "a note", "A/1"):
        assert word not in repr(facts)
    assert set(SOURCES) == {"passes", "matches", "alerts", "adjudications"}


def test_the_same_record_is_the_same_fact_and_another_face_another() -> None:
    assert of_match(SCOPE, plain(make.match())) == of_match(SCOPE, plain(make.match(similarity=0.5)))
    one, two = of_match(SCOPE, plain(make.match())), of_match(SCOPE, plain(make.match(face_index=1)))
    assert one is not None
    assert two is not None
    assert one.fact_id != two.fact_id


def test_what_other_deployments_saw_is_not_counted() -> None:
    """Topics outlive a deployment, and a camera may serve the next one."""
    assert of_pass(SCOPE, plain(make.passing(first_seen_us=HOUR_US))) is None
    assert of_pass(SCOPE, plain(make.passing(camera_id="elsewhere"))) is None
    assert of_match(SCOPE, plain(make.match(captured_at_us=-1))) is None
    assert of_alert(SCOPE, plain(make.alert(deployment_id="d2"))) is None
    assert of_adjudication(SCOPE, plain(make.adjudication(deployment_id="d2"))) is None


def test_a_recording_belongs_to_the_deployment_whatever_its_time() -> None:
    assert of_pass(SCOPE, plain(make.passing(camera_id="film", first_seen_us=9 * HOUR_US))) is not None
    assert of_pass(SCOPE, plain(make.passing(camera_id="film", first_seen_us=HOUR_US))) is None
