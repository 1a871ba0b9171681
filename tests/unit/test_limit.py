"""The limit on rejects counts as a naive count over the window does, and each partition for itself."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from overt.ports import TopicPartition
from overt.runtime.limit import RejectLimit, RejectWindow

LIMIT = RejectLimit(ratio=0.5, least=4, window_s=10.0, rest_s=3.0)
A, B = ("overt.frames", 0), ("overt.frames", 1)


def noted(window: RejectWindow, partition: TopicPartition, *rejected: bool, at_s: float = 0.0) -> list[bool]:
    return [window.note(partition, r, at_s) for r in rejected]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["note", "note", "note", "note", "rested", "forget"]),
        st.sampled_from([A, B]),
        st.booleans(),
        st.sampled_from([0.0, 0.5, 1.0, 4.0, 9.9, 10.0, 10.1]),
    ),
    max_size=60,
)


@given(STEPS, st.sampled_from([0.25, 0.5, 0.9]), st.integers(1, 8))
@settings(max_examples=400)
def test_the_window_equals_a_naive_count(
    steps: list[tuple[str, TopicPartition, bool, float]], ratio: float, least: int
) -> None:
    limit = RejectLimit(ratio=ratio, least=least, window_s=10.0, rest_s=3.0)
    window = RejectWindow(limit)
    seen: list[tuple[TopicPartition, float, bool]] = []
    resting: dict[TopicPartition, float] = {}
    now_s = 100.0
    for step, partition, rejected, wait_s in steps:
        now_s += wait_s
        if step == "forget":
            window.forget(partition)
            seen = [s for s in seen if s[0] != partition]
            resting.pop(partition, None)
        elif step == "rested":
            over = {p for p, until in resting.items() if until <= now_s}
            assert set(window.rested(now_s)) == over
            seen = [s for s in seen if s[0] not in over]
            resting = {p: until for p, until in resting.items() if p not in over}
        else:
            seen.append((partition, now_s, rejected))
            inside = [was for p, at_s, was in seen if p == partition and at_s >= now_s - 10.0]
            passed = len(inside) >= least and sum(inside) > ratio * len(inside) and partition not in resting
            assert window.note(partition, rejected, now_s) == passed
            if passed:
                resting[partition] = now_s + 3.0


def test_half_is_not_past_the_limit_and_one_more_is() -> None:
    window = RejectWindow(LIMIT)
    assert noted(window, A, False, False, True, True) == [False] * 4
    assert noted(window, A, True) == [True]


def test_a_few_rejects_at_the_start_are_no_verdict() -> None:
    assert noted(RejectWindow(LIMIT), A, True, True, True) == [False] * 3
    assert noted(RejectWindow(LIMIT), A, True, True, True, True) == [False, False, False, True]


def test_passing_the_limit_is_told_once_until_the_rest_is_over() -> None:
    window = RejectWindow(LIMIT)
    assert noted(window, A, *[True] * 9).count(True) == 1
    assert window.rested(2.9) == []
    assert window.rested(3.0) == [A]
    assert window.rested(3.0) == []
    assert noted(window, A, True, True, True, at_s=3.0) == [False] * 3, "it begins with an empty window"
    assert noted(window, A, True, at_s=3.0) == [True]


def test_old_records_no_longer_count() -> None:
    window = RejectWindow(LIMIT)
    noted(window, A, True, True, True, at_s=0.0)
    assert noted(window, A, True, False, False, at_s=10.1) == [False] * 3
    assert noted(window, A, True, True, at_s=10.1) == [False, True]


def test_one_hostile_camera_says_nothing_about_another() -> None:
    window = RejectWindow(LIMIT)
    assert noted(window, A, *[True] * 4)[-1]
    assert noted(window, B, *[False] * 20) == [False] * 20
    assert window.rested(100.0) == [A]


def test_a_partition_that_moved_away_begins_anew() -> None:
    window = RejectWindow(LIMIT)
    noted(window, A, *[True] * 4)
    window.forget(A)
    assert window.rested(1000.0) == []
    assert noted(window, A, True, True, True) == [False] * 3
