"""Bad input to the camera service: each camera's trouble is said or counted, stops no other camera, and never hangs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from overt.frame.camera import Camera, Patience
from overt.frame.feed import threads_left
from overt.frame.playback import Playback
from overt.frame.source import parse_source
from overt.picture import encode
from overt.runtime.frame.rules import CameraPlan, FrameRules
from tests.support.frame_site import BATCH, WHOLE, Site, run_beside_detector, wait_for

RULES = {"batch": BATCH, "real time": FrameRules()}


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A camera that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        yield server


def _address(server: socket.socket) -> str:
    return f"rtsp://admin:hunter2@127.0.0.1:{server.getsockname()[1]}/cam"


@pytest.fixture
def bad(tmp_path: Path, test_data: Path) -> dict[str, str]:
    """Paths of bad files by what is wrong with them."""
    mp4 = (test_data / "videos" / "short_hamilton_clip.mp4").read_bytes()
    mkv = (test_data / "videos" / "walk.mkv").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(mp4[: len(mp4) // 2])
    (tmp_path / "cut.mkv").write_bytes(mkv[: len(mkv) // 2])
    (tmp_path / "zero.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no video\n" * 50)
    folder = tmp_path / "folder"
    folder.mkdir()
    jpeg = encode(np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8), "jpeg")
    for number in range(6):
        (folder / f"{number}.jpg").write_bytes(jpeg if number % 2 else jpeg[: 200 + number])
    hollow = tmp_path / "hollow"
    hollow.mkdir()
    (hollow / "1.jpg").write_bytes(b"?")
    paths = {name: str(tmp_path / name) for name in ("cut.mp4", "cut.mkv", "zero.mp4", "text.mp4", "gone.mp4")}
    return {**paths, "folder": str(folder), "hollow": str(hollow)}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES.keys())
def test_each_bad_file_is_told_and_a_good_one_beside_it_is_read(
    site: Site, bad: dict[str, str], test_data: Path, rules: FrameRules, caplog: pytest.LogCaptureFixture
) -> None:
    """One camera each, in one run: the run ends, the summary says what was wrong, the good file has all its frames."""
    good = test_data / "videos" / "face-demographics-walking-and-pause.gif"
    plans = [CameraPlan("good", str(good), 0, WHOLE)]
    plans += [CameraPlan(name, path, 1, WHOLE, folder_fps=50.0) for name, path in bad.items()]
    summary = run_beside_detector(site.service(*plans, rules=rules), site)
    for name, says in [
        ("cut.mp4", "cut off before its index"),
        ("zero.mp4", "is empty"),
        ("text.mp4", "no video that can be read"),
        ("gone.mp4", "no such file"),
    ]:
        assert says in (summary[name].failure or "")
        assert bad[name] in caplog.text
        assert site.count("camera_up", camera=name) == 0
        assert site.frames(name) == []
    assert "cut short" in (summary["cut.mkv"].damage or "")
    assert summary["cut.mkv"].failure is None
    assert site.count("camera_faults_total", camera="folder", reason="undecodable") == 3
    assert site.count("camera_faults_total", camera="hollow", reason="undecodable") == 1
    assert summary["hollow"].frames == 0
    for name in ("good", "cut.mkv", "folder", "hollow"):
        assert site.frames(name)[-1].end
        late = site.count("frames_dropped_total", camera=name, reason="late")
        full = site.count("frames_dropped_total", camera=name, reason="backlog")
        assert summary[name].frames + late + full == site.count("frames_read_total", camera=name)
    assert site.count("frames_read_total", camera="good") == 41
    assert 30 <= site.count("frames_read_total", camera="cut.mkv") < 89
    assert site.count("frames_read_total", camera="folder") == 3


def test_a_silent_camera_keeps_no_other_from_being_opened(site: Site, silent: socket.socket, tmp_path: Path) -> None:
    """OpenCV would hold one lock for all openings of the process. The video here is opened anew for each repetition of
    its five images, and goes on while the camera is being opened."""
    video = tmp_path / "grey.avi"
    writer = cv2.VideoWriter(str(video), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
    for _ in range(5):
        writer.write(np.full((48, 64, 3), 100, np.uint8))
    writer.release()
    site.now_us = None
    service = site.service(
        CameraPlan("mute", _address(silent), 0, WHOLE),
        CameraPlan("file", str(video), 1, WHOLE, loop=True),
        rules=FrameRules(patience=Patience(open_s=60.0)),
    )
    stop = threading.Event()
    thread = threading.Thread(target=lambda: run_beside_detector(service, site, stop), daemon=True)
    thread.start()
    connection, _ = silent.accept()
    with connection:
        before = len(site.frames("file"))
        wait_for(lambda: len(site.frames("file")) >= before + 20)
        assert site.frames("mute") == []
        stop.set()
        thread.join(8)
        assert not thread.is_alive()


def test_a_thread_that_hangs_in_a_camera_is_counted_until_it_ends(silent: socket.socket) -> None:
    """So that a process can end without it. It ends by itself when the camera's connection does."""
    wait_for(lambda: threads_left() == 0)  # those of the tests before
    camera = Camera(parse_source(_address(silent)), Playback(), realtime=True, clock=lambda: 0, monotonic=lambda: 0.0)
    camera.poll()
    connection, _ = silent.accept()
    camera.close(0.2)
    assert threads_left() == 1
    assert camera.poll() == []
    connection.close()
    wait_for(lambda: threads_left() == 0)
