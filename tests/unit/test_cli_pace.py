"""The pace of long work: what is said off a terminal, how often, and with which rate."""

from __future__ import annotations

import pytest

from overt.cli.progress import Pace


class Clock:
    """Seconds that go by when they are told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_short_work_says_only_its_end_and_only_once(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    pace = Pace("images", clock)
    for done in (0, 1, 2, 2):
        clock.now_s += 1
        pace(done, 2)
    assert lines(capsys) == ["images: 2/2"]


def test_long_work_speaks_at_doubling_intervals_with_its_rate_and_what_is_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    pace = Pace("images", clock)
    for second in range(1, 101):
        clock.now_s += 1
        pace(4 * second, 100_000)
    said = lines(capsys)
    assert [line.split(",")[0] for line in said] == ["images: 40/100000", "images: 120/100000", "images: 280/100000"]
    assert said[-1] == "images: 280/100000, 4/s, 6 h 56 min left"


def test_the_rate_is_that_of_the_last_half_minute(capsys: pytest.CaptureFixture[str]) -> None:
    """What an earlier attempt had done already goes by in a moment and tells nothing."""
    clock = Clock()
    pace = Pace("images", clock)
    for done in (5_000, *range(5_001, 5_080)):
        clock.now_s += 1
        pace(done, 6_000)
    assert lines(capsys)[-1] == "images: 5069/6000, 1/s, 16 min left"
