"""The camera service's loop on the memory bus: what it sends, when it waits, what it drops, who goes on after it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from overt.frame.source import CameraError
from overt.frame.stillness import StillRule
from overt.messages import Frame, Message
from overt.picture import encode
from overt.runtime.codec import PassingCodec
from overt.runtime.frame.rules import CameraPlan, FrameRules
from overt.runtime.frame.service import FrameService
from tests.support.frame_site import BATCH, STARTED_US, WHOLE, Site, run_beside_detector, wait_for

IMAGES = 30


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty images of 40 x 20; image n is of grey n + 1."""
    path = tmp_path / "images"
    path.mkdir()
    for number in range(IMAGES):
        (path / f"{number}.png").write_bytes(encode(np.full((20, 40, 3), number + 1, np.uint8), "png"))
    return path


def _plan(folder: Path, camera_id: str = "north", **more: Any) -> CameraPlan:
    words: dict[str, Any] = {"partition": 0, "polygon": WHOLE, "started_at_us": STARTED_US, "folder_fps": 10.0}
    return CameraPlan(camera_id, str(folder), **{**words, **more})


def _turns(service: FrameService, done: Callable[[], bool], site: Site | None = None) -> None:
    """Turns the loop until `done`; a detector that keeps up, unless there is no site."""
    until = time.monotonic() + 30
    while not done():
        assert time.monotonic() < until, "it did not happen within 30 s"
        service.turn()
        if site is not None:
            site.consume()
        time.sleep(0.002)


def _grey(frame: Frame) -> int:
    assert frame.image is not None
    return int(frame.image.bgr().max())


# Without real time: a function of the file


def test_without_real_time_every_image_becomes_one_frame_dated_by_the_file(site: Site, folder: Path) -> None:
    """Epoch 1, frame_seq the image's position, capture time the start plus its own time, no deadline; then the end."""
    summary = run_beside_detector(site.service(_plan(folder)), site)
    *frames, last = site.frames()
    assert [f.frame_seq for f in frames] == list(range(IMAGES))
    assert [f.captured_at_us - STARTED_US for f in frames] == [n * 100_000 for n in range(IMAGES)]
    assert [_grey(f) for f in frames] == list(range(1, IMAGES + 1))
    assert {(f.source_epoch, f.deadline_us, f.end) for f in frames} == {(1, None, False)}
    assert (last.end, last.image, last.frame_seq, last.captured_at_us) == (
        True,
        None,
        IMAGES,
        frames[-1].captured_at_us,
    )
    assert (summary["north"].frames, summary["north"].failure, summary["north"].damage) == (IMAGES, None, None)
    assert site.count("frames_read_total", camera="north") == IMAGES


def test_without_real_time_it_waits_for_the_detector_and_loses_nothing(site: Site, folder: Path) -> None:
    """Never more than 8 unconsumed frames of a partition, however slow the detector is."""
    service = site.service(_plan(folder))
    _turns(service, lambda: len(site.frames()) == 8)
    for _ in range(50):
        service.turn()
        time.sleep(0.002)
    assert len(site.frames()) == 8
    most = 0
    while not site.frames()[-1].end:
        service.turn()
        most = max(most, site.bus.unconsumed("frames", 0, "detector"))
        if site.bus.unconsumed("frames", 0, "detector") == 8:
            record = site.detector.poll(1, 0)
            site.detector.commit(record)
        time.sleep(0.002)
    assert most == 8
    assert [f.frame_seq for f in site.frames()] == list(range(IMAGES + 1))


def test_only_the_zone_travels(site: Site, folder: Path) -> None:
    """The rectangle around the polygon, its place in the image, the image's size; outside the polygon all is 0."""
    triangle = [(0.25, 0.0), (0.75, 0.0), (0.25, 1.0)]
    run_beside_detector(site.service(_plan(folder, polygon=triangle)), site)
    frame = site.frames()[0]
    assert (frame.left, frame.top, frame.image_width, frame.image_height) == (10, 0, 40, 20)
    assert frame.image is not None
    pixels = frame.image.bgr()
    assert pixels.shape[:2] == (19, 19)  # in the last row and column every centre is on the edge or beyond it
    assert (pixels[:, :, 0] == np.tri(19)[::-1]).all()


def test_a_rate_limit_takes_images_evenly(site: Site, folder: Path) -> None:
    """5 of 10 a second: positions without gaps, times of the images taken."""
    run_beside_detector(site.service(_plan(folder, fps=5.0)), site)
    *frames, last = site.frames()
    assert [f.frame_seq for f in frames] == list(range(15))
    assert [_grey(f) for f in frames] == list(range(1, 31, 2))
    assert last.frame_seq == 15


def test_a_live_camera_is_refused_without_real_time(site: Site) -> None:
    """At once, before anything is opened, with what to do; no password in the text."""
    plan = CameraPlan("north", "rtsp://user:hunter2@10.0.0.1/live", 0, WHOLE)
    with pytest.raises(CameraError, match=r"north.*live.*--no-realtime") as caught:
        site.service(plan)
    assert "hunter2" not in str(caught.value) + repr(plan)


def test_several_cameras_are_read_in_turn(site: Site, folder: Path) -> None:
    """No camera is more than a few images ahead of another while all have some."""
    plans = [_plan(folder, f"cam{n}", partition=n) for n in range(3)]
    run_beside_detector(site.service(*plans), site)
    order = [r.key for r in sorted(site.bus.log().read("frames"), key=lambda r: r.value.captured_at_us)]
    assert sorted(set(order)) == ["cam0", "cam1", "cam2"]
    produced = [frame.camera_id for frame in site.sink.produced]
    ahead = 0
    for at in range(1, 3 * IMAGES - 30):
        counts = [produced[:at].count(f"cam{n}") for n in range(3)]
        ahead = max(ahead, max(counts) - min(counts))
    assert ahead <= 12


# In real time


def test_in_real_time_frames_like_the_last_one_sent_are_left_out_and_counted(site: Site, folder: Path) -> None:
    """Each image is one level lighter than the one before. `frame_seq` counts what is sent."""
    plan = _plan(folder, folder_fps=100.0)
    run_beside_detector(site.service(plan, rules=FrameRules(still=StillRule(levels=10))), site)
    *frames, _ = site.frames()
    assert [f.frame_seq for f in frames] == list(range(len(frames)))
    greys = [_grey(f) for f in frames]
    assert all(later - before >= 10 for before, later in pairwise(greys))
    dropped = sum(site.count("frames_dropped_total", camera="north", reason=r) for r in ("late", "backlog"))
    assert site.count("frames_unchanged_total", camera="north") == IMAGES - dropped - len(frames) > 0


def test_without_real_time_no_frame_is_left_out_for_being_like_another(site: Site, folder: Path) -> None:
    run_beside_detector(site.service(_plan(folder), rules=replace(BATCH, still=StillRule(levels=10))), site)
    assert len(site.frames()) == IMAGES + 1


def test_in_real_time_frames_carry_the_wall_clock_a_deadline_and_the_lease(site: Site, folder: Path) -> None:
    """frame_seq counts from 0; the end frame has no deadline, since it must not be shed."""
    summary = run_beside_detector(
        site.service(_plan(folder, folder_fps=100.0), rules=FrameRules(max_delay_s=1.5)), site
    )
    *frames, last = site.frames()
    epoch = site.table.numbers["north"]
    assert [f.frame_seq for f in frames] == list(range(len(frames)))
    assert {(f.source_epoch, f.captured_at_us, f.deadline_us) for f in frames} == {
        (epoch, STARTED_US, STARTED_US + 1_500_000)
    }
    assert (last.end, last.deadline_us, last.frame_seq) == (True, None, len(frames))
    dropped = sum(site.count("frames_dropped_total", camera="north", reason=r) for r in ("late", "backlog"))
    assert summary["north"].frames == len(frames) == IMAGES - dropped
    assert site.count("frames_read_total", camera="north") == IMAGES


def test_in_real_time_frames_are_dropped_and_counted_while_the_detector_is_full(site: Site, folder: Path) -> None:
    """Nobody consumes: 8 frames are sent, all others counted by reason; the end is sent all the same."""
    service = site.service(_plan(folder, folder_fps=50.0, loop=True), rules=FrameRules())
    _turns(service, lambda: site.count("frames_dropped_total", camera="north", reason="backlog") >= 5)
    service.drain()
    service.close()
    assert [f.end for f in site.frames()] == [False] * 8 + [True]
    dropped = sum(site.count("frames_dropped_total", camera="north", reason=r) for r in ("late", "backlog"))
    assert site.count("frames_read_total", camera="north") == 8 + dropped


def test_a_stopped_camera_gets_an_end_and_its_lease_is_free_at_once(site: Site, folder: Path) -> None:
    """So that passes close; within seconds although the file goes on for an hour."""
    stop = threading.Event()
    service = site.service(_plan(folder, loop=True), rules=FrameRules())
    thread = threading.Thread(target=lambda: run_beside_detector(service, site, stop), daemon=True)
    thread.start()
    wait_for(lambda: len(site.frames()) >= 3)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    frames = site.frames()
    assert [f.end for f in frames] == [False] * (len(frames) - 1) + [True]
    assert site.leases("two").acquire("north") is not None


# The window


def test_before_the_window_nothing_is_leased_or_opened(site: Site, tmp_path: Path) -> None:
    """The file does not even exist: it would be said if it were opened. At the end the run returns."""
    rules = FrameRules(window_us=(STARTED_US + 10, STARTED_US + 20))
    service = site.service(_plan(tmp_path / "later.mp4"), rules=rules)
    done: list[Mapping[str, Any]] = []
    thread = threading.Thread(target=lambda: done.append(service.run(threading.Event())), daemon=True)
    thread.start()
    time.sleep(0.3)
    assert not site.table.held
    site.now_us = STARTED_US + 20
    thread.join(10)
    assert done[0]["north"].failure is None
    assert not site.frames()


def test_a_paused_site_captures_nothing_gives_its_cameras_back_and_goes_on_when_resumed(
    site: Site, folder: Path
) -> None:
    paused, stop = threading.Event(), threading.Event()
    rules = FrameRules(serving=True)
    service = site.service(_plan(folder, loop=True), rules=rules, may_capture=lambda: not paused.is_set())
    thread = threading.Thread(target=lambda: run_beside_detector(service, site, stop), daemon=True)
    thread.start()
    wait_for(lambda: len(site.frames()) >= 3)
    paused.set()
    wait_for(lambda: site.frames()[-1].end and not site.table.held)
    count = len(site.frames())
    time.sleep(0.3)
    assert len(site.frames()) == count
    paused.clear()
    wait_for(lambda: len(site.frames()) > count + 2)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_at_the_end_of_the_window_reading_stops_with_an_end(site: Site, folder: Path) -> None:
    """Although serving and looping, which else never ends."""
    rules = FrameRules(window_us=(STARTED_US, STARTED_US + 1000), serving=True)
    service = site.service(_plan(folder, loop=True), rules=rules)
    thread = threading.Thread(target=lambda: run_beside_detector(service, site), daemon=True)
    thread.start()
    wait_for(lambda: len(site.frames()) >= 3)
    assert thread.is_alive()
    site.now_us = STARTED_US + 1000
    thread.join(10)
    assert not thread.is_alive()
    frames = site.frames()
    assert frames[-1].end
    assert all(f.captured_at_us < STARTED_US + 1000 for f in frames[:-1])


def test_without_real_time_the_window_bounds_capture_times(site: Site, folder: Path) -> None:
    """A recording that begins before the window and ends after it: only what lies inside is taken, numbered from 0."""
    rules = replace(BATCH, window_us=(STARTED_US + 500_000, STARTED_US + 1_000_000))
    run_beside_detector(site.service(_plan(folder), rules=rules), site)
    *frames, last = site.frames()
    assert [_grey(f) for f in frames] == [6, 7, 8, 9, 10]
    assert [f.frame_seq for f in frames] == [0, 1, 2, 3, 4]
    assert (last.end, last.frame_seq) == (True, 5)


# Successors


def test_a_stopped_replica_of_a_batch_is_followed_without_a_gap(site: Site, folder: Path) -> None:
    """Serving: the first stops in the middle and sends no end; the second goes on with the next image and ends once."""
    rules = replace(BATCH, serving=True)
    first, stop = site.service(_plan(folder), rules=rules, owner="one"), threading.Event()
    site.sink.produced.clear()
    thread = threading.Thread(target=lambda: first.run(stop), daemon=True)
    thread.start()
    wait_for(lambda: len(site.frames()) >= 8)  # the detector takes nothing, so it stays in the middle
    stop.set()
    thread.join(10)
    assert not any(f.end for f in site.frames())
    second = site.service(_plan(folder), rules=rules, owner="two")
    _turns(second, lambda: site.frames()[-1].end, site)
    assert [f.frame_seq for f in site.frames()] == list(range(IMAGES + 1))
    assert [_grey(f) for f in site.frames()[:-1]] == list(range(1, IMAGES + 1))
    third = site.service(_plan(folder), rules=rules, owner="three")
    second.close()
    for _ in range(100):
        third.turn()
        time.sleep(0.002)
    assert len(site.frames()) == IMAGES + 1, "a file that was read to its end is not sent again"


def test_a_killed_replica_is_followed_when_its_lease_is_over_and_repeats_are_equal(site: Site, folder: Path) -> None:
    """It never gave its lease back. What its successor sends twice has the same cause and the same pixels."""
    rules = replace(BATCH, serving=True)
    first = site.service(_plan(folder), rules=rules, owner="one")
    _turns(first, lambda: len(site.frames()) == 8)
    first._progress.note(at_once=True)
    site.table.progress["north"] = 3  # the last seconds before the end were not noted
    second = site.service(_plan(folder), rules=rules, owner="two")
    second.turn()
    assert site.table.held["north"][0] == "one"
    site.elapsed_s += 6.1
    _turns(second, lambda: site.frames()[-1].end, site)
    by_seq: dict[int, set[tuple[int, int]]] = {}
    for frame in site.frames()[:-1]:
        by_seq.setdefault(frame.frame_seq, set()).add((_grey(frame), frame.captured_at_us))
    assert sorted(by_seq) == list(range(IMAGES))
    assert all(len(variants) == 1 for variants in by_seq.values())
    assert len(site.frames()) == IMAGES + 1 + 4


def test_a_replica_that_lost_its_lease_sends_nothing_more(site: Site, folder: Path) -> None:
    """It slept past its lease and another has taken over: not one more frame of the old epoch, and no end."""
    plan = _plan(folder, loop=True, folder_fps=50.0)
    first = site.service(plan, rules=FrameRules(serving=True), owner="one")
    _turns(first, lambda: len(site.frames()) >= 3, site)
    old = site.frames()[-1].source_epoch
    site.elapsed_s += 6.1
    assert site.leases("two").acquire("north") is not None
    before = len(site.frames())
    for _ in range(100):
        first.turn()
        site.consume()
        time.sleep(0.002)
    assert [f for f in site.frames()[before:] if f.source_epoch == old] == []
    assert site.count("camera_up", camera="north") == 0


def test_what_waits_for_the_bus_is_forgotten_with_the_lease(site: Site, folder: Path) -> None:
    """The end of the old epoch, which could not be sent while the bus was away, does not come after the successor's
    frames."""
    first = site.service(_plan(folder, folder_fps=50.0), rules=FrameRules(serving=True), owner="one")
    site.sink.away = True
    _turns(first, lambda: len(first._outbox) > 0 and first._readings["north"].over)
    site.elapsed_s += 6.1
    assert site.leases("two").acquire("north") is not None
    first.turn()
    site.sink.away = False
    time.sleep(0.6)  # until the outbox would try again
    for _ in range(20):
        first.turn()
    assert site.frames() == []


def test_leases_are_renewed_while_the_loop_is_busy(site: Site, folder: Path) -> None:
    """By a thread of its own: the loop hangs in the codec here while three lives of a lease go by."""
    free = threading.Event()

    class HangingCodec(PassingCodec):
        def encode(self, message: Message) -> Any:
            free.wait(60)
            return super().encode(message)

    service = site.service(_plan(folder), rules=FrameRules(serving=True, renew_s=0.1), codec=HangingCodec())
    stop = threading.Event()
    thread = threading.Thread(target=lambda: run_beside_detector(service, site, stop), daemon=True)
    thread.start()
    wait_for(lambda: bool(site.table.held))
    for _ in range(9):
        site.elapsed_s += 2.0
        wait_for(lambda: site.table.held["north"][2] >= site.elapsed_s + 6.0)
    free.set()
    wait_for(lambda: len(site.frames()) >= 3)
    stop.set()
    thread.join(15)
    assert len({f.source_epoch for f in site.frames()}) == 1


def test_no_more_cameras_than_allowed_are_leased(site: Site, folder: Path) -> None:
    """So that replicas can share them."""
    plans = [_plan(folder, f"cam{n}", partition=n) for n in range(4)]
    first = site.service(*plans, rules=replace(BATCH, serving=True, cameras_most=2), owner="one")
    second = site.service(*plans, rules=replace(BATCH, serving=True, cameras_most=2), owner="two")
    first.turn()
    second.turn()
    owners = [owner for owner, _, _ in site.table.held.values()]
    assert sorted(owners) == ["one", "one", "two", "two"]
    first.close()
    second.close()


# When something is away or wrong


def test_without_real_time_a_bus_that_is_away_gets_the_same_frames_later(site: Site, folder: Path) -> None:
    """Nothing is lost and nothing overtakes."""
    service = site.service(_plan(folder))
    _turns(service, lambda: len(site.frames()) >= 4, site)
    site.sink.away = True
    for _ in range(100):
        service.turn()
        site.consume()
        time.sleep(0.002)
    assert not service.ready()
    site.sink.away = False
    _turns(service, lambda: site.frames()[-1].end, site)
    assert service.ready()
    assert [f.frame_seq for f in site.frames()] == list(range(IMAGES + 1))
    assert site.count("unavailable_total", service="frame") >= 1
    assert site.count("frames_dropped_total", camera="north", reason="unavailable") == 0


def test_in_real_time_frames_are_dropped_while_the_bus_is_away_but_not_the_end(site: Site, folder: Path) -> None:
    """Each is counted, and the end frame is tried until it arrives."""
    service = site.service(_plan(folder, folder_fps=50.0), rules=FrameRules())
    site.sink.away = True
    _turns(service, lambda: len(service._outbox) > 0 and service._readings["north"].over)
    assert site.frames() == []
    site.sink.away = False
    _turns(service, lambda: bool(site.frames()))
    assert [f.end for f in site.frames()] == [True]
    late = site.count("frames_dropped_total", camera="north", reason="late")
    away = site.count("frames_dropped_total", camera="north", reason="unavailable")
    assert late + away == IMAGES
    assert away > 0


def test_a_file_that_cannot_be_read_is_told_and_the_others_go_on(site: Site, folder: Path, tmp_path: Path) -> None:
    """The summary names it; the run does not wait for it."""
    summary = run_beside_detector(site.service(_plan(folder), _plan(tmp_path / "gone.mp4", "south", partition=1)), site)
    assert summary["north"].frames == IMAGES
    assert "no such file" in (summary["south"].failure or "")
    assert site.frames("south") == []


def test_when_serving_a_file_that_cannot_be_read_is_given_back_and_tried_again(site: Site, tmp_path: Path) -> None:
    """Another replica may have it; or it comes later."""
    rules = replace(BATCH, serving=True, retry_failed_s=0.2)
    plan = _plan(tmp_path / "later")
    service = site.service(plan, rules=rules)
    _turns(service, lambda: bool(service.summary()["north"].failure))
    assert not site.table.held
    assert site.leases("two").acquire("north") is not None
    site.table.held.clear()
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "1.png").write_bytes(encode(np.ones((20, 40, 3), np.uint8), "png"))
    service._sources["north"] = site.service(plan)._sources["north"]  # it was a missing file and is a folder now
    _turns(service, lambda: bool(site.frames()) and site.frames()[-1].end, site)
    service.close()


def test_damaged_images_are_counted_and_their_frames_are_gaps(site: Site, folder: Path) -> None:
    """The numbers of all others stay what they are without the damage."""
    (folder / "3.png").write_bytes(b"?")
    summary = run_beside_detector(site.service(_plan(folder)), site)
    assert [f.frame_seq for f in site.frames()] == [n for n in range(IMAGES + 1) if n != 3]
    assert site.count("camera_faults_total", camera="north", reason="undecodable") == 1
    assert summary["north"].frames == IMAGES - 1


def test_a_frame_that_no_bus_takes_is_counted_and_said_and_stops_nothing(
    site: Site, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A rectangle too large for the picture format or for a record."""

    class Picky(PassingCodec):
        def encode(self, message: Message) -> Any:
            if isinstance(message, Frame) and message.frame_seq in (2, 5):
                raise ValueError("too large")
            return super().encode(message)

    run_beside_detector(site.service(_plan(folder), codec=Picky()), site)
    assert [f.frame_seq for f in site.frames()] == [n for n in range(IMAGES + 1) if n not in (2, 5)]
    assert site.count("frames_dropped_total", camera="north", reason="unencodable") == 2
    assert caplog.text.count("make its zone smaller") == 1


def test_a_zone_that_covers_nothing_is_a_failure_of_its_camera(site: Site, folder: Path) -> None:
    """Said with the image's size instead of sending empty pictures."""
    sliver = [(0.001, 0.001), (0.002, 0.001), (0.002, 0.002)]
    summary = run_beside_detector(site.service(_plan(folder, polygon=sliver)), site)
    assert "40x20" in (summary["north"].failure or "")


def test_a_fault_of_ours_ends_the_run_loudly_and_gives_the_leases_back(site: Site, folder: Path) -> None:
    """It is not swallowed by a loop that goes on."""

    class Broken(PassingCodec):
        def encode(self, message: Message) -> Any:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        site.service(_plan(folder), codec=Broken()).run(threading.Event())
    assert site.leases("two").acquire("north") is not None


def test_frames_of_a_real_gif(site: Site, test_data: Path) -> None:
    """41 frames with the file's own delays, and one end."""
    plan = _plan(test_data / "videos" / "face-demographics-walking-and-pause.gif", polygon=WHOLE)
    run_beside_detector(site.service(plan), site)
    *frames, last = site.frames()
    assert len(frames) == 41
    assert frames[-1].captured_at_us - STARTED_US == 3_330_000
    assert (last.end, last.frame_seq, last.captured_at_us - STARTED_US) == (True, 41, 3_330_000)
