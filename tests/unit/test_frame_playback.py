"""Playback: positions and times are a function of the file, so a successor goes on exactly where another stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overt.frame.folder import FolderReader
from overt.frame.playback import Due, Playback, Played, Sampler, play
from overt.frame.reader import Reader
from overt.frame.source import CameraError
from overt.picture import encode


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine images, which are read at 10 a second: 0.9 s."""
    path = tmp_path_factory.mktemp("images")
    for number in range(9):
        (path / f"{number}.png").write_bytes(encode(np.full((4, 4, 3), number, np.uint8), "png"))
    return path


def _steps(folder: Path, playback: Playback, most: int = 1000) -> list[tuple[int, int, int]]:
    """(position, time, which image) of up to `most` images."""
    found: list[tuple[int, int, int]] = []
    steps = play(lambda: FolderReader(folder, fps=10.0), playback)
    for step in steps:
        if isinstance(step, Played) or len(found) == most:
            break
        image = step.retrieve()
        assert isinstance(image, np.ndarray)
        found.append((step.position, step.media_time_us, int(image[0, 0, 0])))
    steps.close()
    return found


def _end(folder: Path, playback: Playback) -> Played:
    *_, last = play(lambda: FolderReader(folder, fps=10.0), playback)
    assert isinstance(last, Played)
    return last


def test_all_images_in_order_and_then_the_end(folder: Path) -> None:
    """Without a limit nothing is left out."""
    assert _steps(folder, Playback()) == [(n, n * 100_000, n) for n in range(9)]
    assert _end(folder, Playback()) == Played(9, 800_000, None)


def test_a_loop_goes_on_in_position_and_time(folder: Path) -> None:
    """The file starts again one frame interval after its last image."""
    assert _steps(folder, Playback(loop=True), 25) == [(n, n * 100_000, n % 9) for n in range(25)]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fps=st.one_of(st.none(), st.floats(0.5, 40)),
    loop=st.booleans(),
    resume_at=st.integers(0, 60),
    from_us=st.sampled_from([0, 1, 250_000, 1_000_000, 2_150_000]),
    until_us=st.sampled_from([None, 0, 300_000, 900_000, 4_150_000]),
)
def test_a_successor_gets_exactly_the_rest(
    folder: Path, fps: float | None, loop: bool, resume_at: int, from_us: int, until_us: int | None
) -> None:
    """Whatever is set: what comes from `resume_at` on is what the first reader got from there on; so is the end."""
    whole = _steps(folder, Playback(fps, loop, 0, from_us, until_us), most=100)
    rest = _steps(folder, Playback(fps, loop, resume_at, from_us, until_us), most=max(0, 100 - resume_at))
    assert rest == [step for step in whole if step[0] >= resume_at]
    if not loop or until_us is not None:
        assert _end(folder, Playback(fps, loop, resume_at, from_us, until_us)) == _end(
            folder, Playback(fps, loop, 0, from_us, until_us)
        )


def test_a_far_away_resumption_reads_the_file_only_twice(folder: Path) -> None:
    """After one reading it is known how many images a repetition has: a day of repetitions is passed over at once."""
    opened = 0

    def open_it() -> Reader:
        nonlocal opened
        opened += 1
        return FolderReader(folder, fps=10.0)

    step = next(play(open_it, Playback(loop=True, resume_at=9_000_000_004)))
    assert isinstance(step, Due)
    assert (step.position, step.media_time_us) == (9_000_000_004, 900_000_000_400_000)
    assert opened == 2


@settings(max_examples=200, deadline=None)
@given(rate=st.floats(1, 120), fps=st.floats(0.5, 120), rounded_us=st.sampled_from([1, 1_000, 10_000]))
def test_a_limit_is_kept_on_average_and_a_slower_source_loses_nothing(rate: float, fps: float, rounded_us: int) -> None:
    """Times may be rounded, as Matroska and GIF do. A source at or below the limit is taken whole."""
    times = [round(n * 1e6 / rate / rounded_us) * rounded_us for n in range(400)]
    if rounded_us * 4 >= 1e6 / fps or rounded_us * 2 >= 1e6 / rate:
        return  # rounded by more than a quarter of the interval: its rhythm is lost
    sampler = Sampler(fps)
    taken = sum(sampler.takes(time_us) for time_us in times)
    if rate <= fps:
        assert taken == 400
    else:
        assert taken <= times[-1] / 1e6 * fps * 1.001 + 2
        assert taken >= times[-1] / 1e6 * min(fps, rate / 2) * 0.9


def test_a_limit_takes_evenly_from_a_faster_source() -> None:
    """10 of 30 a second: every third."""
    sampler = Sampler(10.0)
    assert [n for n in range(30) if sampler.takes(round(n * 1e6 / 30))] == list(range(0, 30, 3))


def test_a_gap_is_not_made_up_for() -> None:
    """After 5 s of silence a camera does not get 50 images at once."""
    sampler = Sampler(10.0)
    times = [0, 100_000, 5_000_000, 5_001_000, 5_002_000, 5_100_000]
    assert [time_us for time_us in times if sampler.takes(time_us)] == [0, 100_000, 5_000_000, 5_100_000]


def test_a_source_that_cannot_be_opened_says_so_at_the_first_step(tmp_path: Path) -> None:
    """Nothing is opened before."""
    steps = play(lambda: FolderReader(tmp_path, fps=10.0), Playback())
    with pytest.raises(CameraError, match="no image"):
        next(steps)
