"""A real network camera that is killed, frozen, restarted, silent or absent: said, counted, tried again, no hang."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from overt.frame.camera import Patience
from overt.frame.feed import threads_left
from overt.picture import encode
from overt.runtime.frame.rules import CameraPlan, FrameRules
from tests.support.frame_site import WHOLE, Site, run_beside_detector, wait_for
from tests.support.rtsp_server import RtspServer

PATIENCE = Patience(open_s=6.0, stall_s=2.0, frozen_s=3.0, retry_least_s=0.2, retry_most_s=1.0)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    site.now_us = None  # real time: these cameras are alive
    yield site
    site.close()


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """A thread that was left behind in a frozen camera ends by itself once the server has gone."""
    yield
    wait_for(lambda: threads_left() == 0)


Running = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def running(site: Site) -> Running:
    """`with running(plan, ...):` runs a service beside a detector that keeps up; in the end it must stop in time."""

    @contextmanager
    def run(*plans: CameraPlan) -> Iterator[None]:
        service = site.service(*plans, rules=FrameRules(patience=PATIENCE, serving=True))
        stop = threading.Event()
        thread = threading.Thread(target=lambda: run_beside_detector(service, site, stop), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(8)
        assert not thread.is_alive(), "it did not stop within 8 s"

    return run


def _plan(server: RtspServer | str, camera_id: str = "live", **more: object) -> CameraPlan:
    url = server if isinstance(server, str) else server.url
    return CameraPlan(camera_id, url, 0, WHOLE, **more)  # type: ignore[arg-type]  # handed through


def _count(site: Site, camera_id: str = "live") -> int:
    return len(site.frames(camera_id))


def _more(site: Site, camera_id: str = "live", by: int = 5) -> None:
    """Waits for so many more frames."""
    before = _count(site, camera_id)
    wait_for(lambda: _count(site, camera_id) >= before + by)


def _up(site: Site, camera_id: str = "live") -> float:
    return site.count("camera_up", camera=camera_id)


def test_a_camera_that_is_killed_and_restarted_is_read_again(
    site: Site, running: Running, rtsp_server: RtspServer
) -> None:
    """Under the same lease: the epoch stays and the numbers go on without a gap."""
    with running(_plan(rtsp_server)):
        _more(site)
        assert _up(site) == 1
        rtsp_server.kill()
        wait_for(lambda: _up(site) == 0)
        wait_for(lambda: site.count("camera_reconnects_total", camera="live") >= 2)
        rtsp_server.start()
        wait_for(lambda: _up(site) == 1)
        _more(site)
    frames = site.frames("live")
    assert [f.frame_seq for f in frames] == list(range(len(frames)))
    assert len({f.source_epoch for f in frames}) == 1
    assert [f.end for f in frames] == [False] * (len(frames) - 1) + [True]
    assert frames[0].image is not None
    assert frames[0].image.bgr().shape == (360, 640, 3)


def test_a_camera_that_freezes_is_given_up_and_found_again_and_holds_up_no_other(
    site: Site, running: Running, rtsp_server: RtspServer, tmp_path: Path
) -> None:
    """SIGSTOP: the connection stays open and says nothing. The other camera's frames keep coming meanwhile."""
    for number in range(10):
        (tmp_path / f"{number}.png").write_bytes(encode(np.full((8, 8, 3), number, np.uint8), "png"))
    other = CameraPlan("other", str(tmp_path), 1, WHOLE, loop=True)
    with running(_plan(rtsp_server), other):
        _more(site)
        rtsp_server.freeze()
        began = time.monotonic()
        wait_for(lambda: _up(site) == 0)
        assert time.monotonic() - began >= PATIENCE.stall_s * 0.8  # a pause that is within its patience is none
        _more(site, "other", by=30)
        wait_for(lambda: site.count("camera_reconnects_total", camera="live") >= 1)
        rtsp_server.thaw()
        wait_for(lambda: _up(site) == 1)
        _more(site)
        _more(site, "other")


def test_a_short_pause_is_no_loss(site: Site, running: Running, rtsp_server: RtspServer) -> None:
    """Less than its patience: the same connection goes on."""
    with running(_plan(rtsp_server)):
        _more(site)
        rtsp_server.freeze()
        time.sleep(0.5)
        rtsp_server.thaw()
        _more(site, by=20)
        assert site.count("camera_reconnects_total", camera="live") == 0
        assert _up(site) == 1


def test_a_service_stops_within_seconds_while_its_camera_is_frozen(
    site: Site, running: Running, rtsp_server: RtspServer
) -> None:
    """With an end frame and the lease given back; the thread that hangs is left behind (`running` checks the time)."""
    with running(_plan(rtsp_server)):
        _more(site)
        rtsp_server.freeze()
        time.sleep(0.3)
        assert threads_left() == 1
    assert site.frames("live")[-1].end
    assert not site.table.held
    rtsp_server.thaw()


def test_an_absent_and_a_silent_camera_are_tried_again_and_hold_up_nobody(
    site: Site, running: Running, rtsp_server: RtspServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing listens on one port; on the other connections are accepted and never answered. Said once, not each time,
    and without the password."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = f"rtsp://admin:hunter2@127.0.0.1:{silent.getsockname()[1]}/cam"
        plans = [
            _plan("rtsp://admin:hunter2@127.0.0.1:1/cam", "absent"),
            _plan(mute, "mute"),
            _plan(rtsp_server),
        ]
        with running(*plans):
            wait_for(lambda: site.count("camera_reconnects_total", camera="absent") >= 3)
            wait_for(lambda: site.count("camera_reconnects_total", camera="mute") >= 1)
            _more(site)
            assert (_up(site, "absent"), _up(site, "mute"), _up(site)) == (0, 0, 1)
    assert "hunter2" not in caplog.text
    said = [r.getMessage() for r in caplog.records if "camera absent" in r.getMessage() and "tried again" in r.message]
    assert len(said) == 1
    assert [f.end for f in site.frames("absent")] == [True]


def test_the_newest_image_wins_and_what_was_not_taken_is_counted(site: Site, rtsp_server: RtspServer) -> None:
    """The loop is kept away for two seconds: what it gets next was read at their end and not at their beginning."""
    service = site.service(_plan(rtsp_server), rules=FrameRules(patience=PATIENCE, unconsumed_most=1000))
    while _count(site) < 3:
        service.turn()
        time.sleep(0.01)
    time.sleep(2.0)
    before, now_us = _count(site), site.clock()
    while _count(site) == before:
        service.turn()
    late = site.count("frames_dropped_total", camera="live", reason="late")
    assert now_us - site.frames("live")[before].captured_at_us < 1_000_000
    assert late >= 10
    service.drain()
    service.close()


def test_a_rate_limit_holds_for_a_live_camera(site: Site, running: Running, rtsp_server: RtspServer) -> None:
    """5 of its 15 a second."""
    with running(_plan(rtsp_server, fps=5.0)):
        _more(site, by=3)
        _more(site, by=10)
    stamps = [f.captured_at_us for f in site.frames("live")[3:-1]]
    assert (len(stamps) - 1) / ((stamps[-1] - stamps[0]) / 1e6) < 6.5


def test_an_encoder_that_repeats_one_picture_is_told(
    site: Site, running: Running, rtsp_factory: Callable[..., RtspServer], tmp_path: Path
) -> None:
    """Images arrive, all equal: the camera is up and frozen. A moving one is not."""
    still, moving = tmp_path / "still.avi", tmp_path / "moving.mkv"
    _write_grey(still)
    pattern = "testsrc2=size=320x180:rate=15:duration=4"
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", pattern, str(moving)], check=True)
    with running(_plan(rtsp_factory(still, width=320), "still"), _plan(rtsp_factory(moving, width=320), "moving")):
        wait_for(lambda: site.count("camera_frozen", camera="still") == 1)
        _more(site, "moving")
        assert (_up(site, "still"), _up(site, "moving")) == (1, 1)
        assert site.count("camera_frozen", camera="moving") == 0


def _write_grey(path: Path) -> None:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 15.0, (320, 180))
    for _ in range(60):
        writer.write(np.full((180, 320, 3), 120, np.uint8))
    writer.release()
