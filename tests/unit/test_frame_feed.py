"""The thread and its mailbox, a file's own pace, and waits between attempts: all with time that the test moves."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from overt.frame.feed import Feed, Steps, Taken
from overt.frame.folder import FolderReader
from overt.frame.pacing import LATE_US, Backoff, Pacer
from overt.frame.playback import Due, Playback, Played, play
from overt.frame.reader import Fault
from overt.frame.sameness import Sameness
from overt.frame.source import CameraError
from overt.picture import encode

T = TypeVar("T")


class Time:
    """A clock that moves when somebody waits, or when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.waited: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> bool:
        self.waited.append(round(seconds, 6))
        self.now_s += seconds
        return False

    def wall_us(self) -> int:
        return round(self.now_s * 1e6) + 5_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty images, which are read at 10 a second."""
    for number in range(30):
        (tmp_path / f"{number}.png").write_bytes(encode(np.full((4, 4, 3), number, np.uint8), "png"))
    return tmp_path


def _feed(
    folder: Path,
    time: Time,
    *,
    keep_all: bool = False,
    paced: bool = True,
    on_image: Callable[[], object] = lambda: None,
    slow_s: float = 0.0,
) -> Feed:
    """A feed of the folder on the test's own time. `slow_s` passes whenever an image is decoded."""

    def steps() -> Steps:
        for step in play(lambda: FolderReader(folder, fps=10.0), Playback()):
            if isinstance(step, Due):
                yield Due(step.position, step.media_time_us, _slowed(step.retrieve, time, slow_s))
            else:
                yield step

    return Feed(
        steps,
        keep_all=keep_all,
        pacer=Pacer(time) if paced else None,
        clock=time.wall_us,
        monotonic=time,
        arrived=on_image,
        wait=time.wait,
    )


def _slowed(call: Callable[[], T], time: Time, seconds: float) -> Callable[[], T]:
    def slow() -> T:
        time.now_s += seconds
        return call()

    return slow


def _numbers(taken: list[Taken]) -> list[int]:
    return [int(image.bgr[0, 0, 0]) for image in taken]


# Pace


def test_a_file_keeps_to_its_own_pace(folder: Path) -> None:
    """Images at 10 a second: each waits until its time, and carries the wall clock of its reading."""
    time = Time()
    taken: list[Taken] = []
    feed = _feed(folder, time, on_image=lambda: taken.extend(filter(None, [feed.take()])))
    feed.run()
    assert _numbers(taken) == list(range(30))
    assert time.waited == [0.1] * 29
    assert [image.read_at_us for image in taken] == [1_005_000_000 + n * 100_000 for n in range(30)]
    assert feed.counts() == (0, {})
    assert feed.outcome() == Played(30, 2_900_000, None)


def test_a_file_that_fell_behind_skips_to_catch_up_and_counts(folder: Path) -> None:
    """The process slept for a second after image 4: what was due meanwhile is skipped, none is played faster."""
    time = Time()
    taken: list[Taken] = []

    def on_image() -> None:
        image = feed.take()
        if image is not None:
            taken.append(image)
            time.now_s += 1.05 if len(taken) == 5 else 0.0

    feed = _feed(folder, time, on_image=on_image)
    feed.run()
    numbers = _numbers(taken)
    dropped, _ = feed.counts()
    assert numbers[:5] == [0, 1, 2, 3, 4]
    assert numbers[5] == 14  # due 1.0 s after image 4 and so 0.05 s late, which is within the tolerance
    assert numbers[5:] == list(range(14, 30))
    assert dropped == 30 - len(numbers) == 9
    for image in taken:
        late_us = image.read_at_us - 1_005_000_000 - image.media_time_us
        assert late_us <= LATE_US


def test_a_machine_too_slow_for_a_file_still_sees_something_of_each_second(folder: Path) -> None:
    """Decoding takes three times as long as an image is shown: images are skipped, but never more than a second's."""
    time = Time()
    taken: list[Taken] = []
    feed = _feed(folder, time, slow_s=0.3, on_image=lambda: taken.extend(filter(None, [feed.take()])))
    feed.run()
    numbers = _numbers(taken)
    dropped, _ = feed.counts()
    assert dropped + len(numbers) == 30
    assert 0 < dropped < 30
    assert max(np.diff(numbers)) <= 11


# The mailbox


def test_the_newest_image_wins_and_the_others_are_counted(folder: Path) -> None:
    """Nobody takes any: one is left, 29 were dropped, and the end is told only after the last was taken."""
    feed = _feed(folder, Time())
    feed.run()
    assert feed.outcome() is None
    last = feed.take()
    assert last is not None
    assert _numbers([last]) == [29]
    assert feed.take() is None
    assert feed.counts()[0] == 29
    assert feed.counts()[0] == 0
    assert isinstance(feed.outcome(), Played)


def test_with_keep_all_reading_waits_and_nothing_is_lost(folder: Path) -> None:
    """However slowly images are taken; no more than two are read ahead."""
    arrived = threading.Semaphore(0)
    feed = _feed(folder, Time(), keep_all=True, paced=False, on_image=arrived.release)
    feed.start()
    numbers: list[int] = []
    while feed.outcome() is None:
        arrived.acquire(timeout=10)
        with feed._changed:
            assert len(feed._images) <= 2
        while (image := feed.take()) is not None:
            numbers += _numbers([image])
    assert numbers == list(range(30))
    assert feed.counts() == (0, {})
    assert feed.join(10)


def test_a_stopped_feed_ends_also_while_it_waits_for_room(folder: Path) -> None:
    """Nothing is handed out after stop."""
    feed = _feed(folder, Time(), keep_all=True, paced=False)
    feed.start()
    feed.stop()
    assert feed.join(10)
    assert feed.take() is None


def test_damaged_images_are_counted_and_the_rest_goes_on(folder: Path) -> None:
    """Two of thirty."""
    (folder / "3.png").write_bytes(b"?")
    (folder / "7.png").write_bytes(b"?")
    time = Time()
    taken: list[Taken] = []
    feed = _feed(folder, time, on_image=lambda: taken.extend(filter(None, [feed.take()])))
    feed.run()
    assert _numbers(taken) == [n for n in range(30) if n not in (3, 7)]
    assert feed.counts()[1] == {Fault.UNDECODABLE: 2}


def test_a_feed_tells_how_long_a_call_has_lasted(folder: Path) -> None:
    """The one who watches sees a call that does not return, from outside it."""
    time, release, entered = Time(), threading.Event(), threading.Event()

    def steps() -> Steps:
        entered.set()
        release.wait(30)
        yield from play(lambda: FolderReader(folder, fps=10.0), Playback())

    feed = Feed(steps, keep_all=False, pacer=None, clock=time.wall_us, monotonic=time, arrived=lambda: None)
    feed.start()
    assert entered.wait(10)
    time.now_s += 7.5
    assert feed.busy_s() == 7.5
    feed.stop()
    assert feed.alive
    release.set()
    assert feed.join(10)
    assert feed.busy_s() == 0.0


def test_what_goes_wrong_in_the_thread_is_told_and_not_lost(tmp_path: Path) -> None:
    """An expected reason as CameraError, a fault of ours as what it is."""
    time = Time()
    expected = _feed(tmp_path, time)
    expected.run()
    assert isinstance(expected.outcome(), CameraError)

    def broken() -> Steps:
        yield from ()
        raise ZeroDivisionError

    ours = Feed(broken, keep_all=False, pacer=None, clock=time.wall_us, monotonic=time, arrived=lambda: None)
    ours.run()
    assert isinstance(ours.outcome(), ZeroDivisionError)


# Waits, and sameness


def test_waits_double_up_to_the_most_and_start_again_after_success() -> None:
    """Each is at least half of its step, so that it grows, and at random, so that cameras do not call at once."""
    backoff = Backoff(0.5, 10.0, random.Random(1))
    waits = [backoff.next_s() for _ in range(50)]
    for step, wait in enumerate(waits):
        longest = min(10.0, 0.5 * 2 ** (step + 1))
        assert max(0.5, longest / 2) <= wait <= longest
    assert len(set(waits[5:])) > 40
    backoff.reset()
    assert backoff.next_s() <= 1.0


def test_the_same_picture_for_long_is_a_frozen_camera_and_one_pixel_of_noise_is_not() -> None:
    """Ten seconds to the last bit; a sampled pixel that differs by one starts the time anew."""
    picture = np.random.default_rng(3).integers(0, 256, (270, 480, 3), np.uint8)
    sameness = Sameness(10.0)
    assert not any(sameness.see(picture, second) for second in range(10))
    assert sameness.see(picture, 10)
    noisy = picture.copy()
    noisy[16, 32, 1] ^= 1
    assert not sameness.see(noisy, 11)
    assert not sameness.see(noisy, 20)
    assert sameness.see(noisy, 21)
