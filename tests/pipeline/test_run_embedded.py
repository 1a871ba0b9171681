"""`overt run` on one machine: every kind of file, its pace, its window, its zone, what it writes and how it ends."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from overt.cli.exit_codes import EXIT_CODES
from overt.frame.zone import Zone
from overt.messages import Box
from overt.picture import Bgr
from tests.support import embedded, runs, walks
from tests.support.child import Child
from tests.support.models import CACHE, real_model
from tests.support.process import Service, overt
from tests.support.report_page import Page

LEFT, RIGHT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)), ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))
TRIANGLE = ((0.2, 0.1), (0.9, 0.3), (0.4, 0.95))
PICTURES = {
    b"\xff\xd8\xff": "a JPEG",
    b"\x89PNG\r\n": "a PNG",
    b"\x1a\x45\xdf\xa3": "a WebM",
    b"RIFF": "an AVI or WebP",
}


@dataclass(frozen=True)
class Street:
    """A walk-past of one listed person on the left and of another, listed or not, on the right; its frames; a list."""

    video: Path
    frames: Sequence[Bgr]
    watchlist: Path


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Street:
    for name in ("centerface", "dlib-resnet-v1"):
        real_model(name)
    folder = tmp_path_factory.mktemp("street")
    scene = walks.walk(folder, ("obama3", 0.30, 0.22), ("biden", 0.70, 0.78))
    people = walks.watchlist(folder / "people", {"s-1": ("obama", "obama3"), "s-2": ("collins",)})
    return Street(scene.video, list(walks.frames_of(scene.video)), people)


def _command(street: Street, folder: Path, *cameras: dict[str, Any], **more: Any) -> Path:
    return runs.write(folder / "deployment.yaml", runs.deployment(cameras, street.watchlist, **more))


def _env(**settings: str | Path) -> dict[str, str]:
    return runs.environment(cache=CACHE, **settings)


# Sources and pace


def test_cameras_of_every_kind_in_one_process_lose_no_frame(street: Street, tmp_path: Path) -> None:
    """Without real time: read and looked at is every frame of each, and each camera alerts."""
    sources = {
        "avi": street.video,
        "gif": walks.as_gif(street.frames, tmp_path / "walk.gif", walks.FPS),
        "mp4": walks.as_mp4(street.frames, tmp_path / "walk.mp4", walks.FPS),
        "folder": walks.as_folder(street.frames[::2], tmp_path / "images"),
    }
    counts = {name: len(street.frames) for name in sources} | {"folder": len(street.frames[::2])}
    cameras = [runs.camera(name, source, partition=n % 2) for n, (name, source) in enumerate(sources.items())]
    deployment = runs.deployment(cameras, street.watchlist)
    run = embedded.run(embedded.parsed(deployment), embedded.settings(), observe=True)
    for name, count in counts.items():
        assert run.total("overt_frames_read_total", camera=name) == count
        assert len({s.frame.frame_seq for s in run.sightings if s.frame.camera_id == name and s.frame.image}) == count
        assert run.cameras[name].frames == count
        assert run.cameras[name].failure is run.cameras[name].damage is None
    assert run.total("overt_frames_dropped_total") == run.total("overt_frames_shed_total") == 0
    assert run.total("overt_rejects_total") == 0
    assert {alert.camera_id for alert in run.alerts} == set(sources)
    assert set(run.subjects) == {"s-1"}


def test_a_second_run_of_a_file_gives_the_same_alerts(street: Street) -> None:
    deployment = embedded.parsed(runs.deployment([runs.camera("one", street.video)], street.watchlist))
    entries = embedded.enrolled(deployment, embedded.settings()).entries
    first, second = (embedded.run(deployment, embedded.settings(), entries) for _ in range(2))
    assert [alert.alert_id for alert in first.alerts] == [alert.alert_id for alert in second.alerts] != []
    again = [alert.similarity for alert in second.alerts]
    assert [alert.similarity for alert in first.alerts] == pytest.approx(again, abs=1e-5)  # batches may differ


def test_in_real_time_a_file_keeps_its_pace_and_every_frame_is_accounted_for(street: Street) -> None:
    """Read is every frame; what the detector had no time for is dropped or shed, and counted."""
    deployment = embedded.parsed(runs.deployment([runs.camera("one", street.video)], street.watchlist))
    entries = embedded.enrolled(deployment, embedded.settings()).entries
    began = time.time_ns() // 1000
    run = embedded.run(deployment, embedded.settings(), entries, observe=True, realtime=True)
    ended = time.time_ns() // 1000
    assert ended - began >= (len(street.frames) - 1) / walks.FPS * 1e6
    assert run.total("overt_frames_read_total") == len(street.frames)
    seen = [s.frame for s in run.sightings if s.frame.image is not None]
    given_up = sum(run.total(f"overt_frames_{what}_total") for what in ("dropped", "unchanged", "shed"))
    assert len(seen) + given_up == len(street.frames)
    assert all(began <= frame.captured_at_us <= ended for frame in seen)
    assert set(run.subjects) <= {"s-1"}


def test_a_run_in_real_time_alerts_as_it_happens_and_drains_when_told_to_end(street: Street, tmp_path: Path) -> None:
    """The file begins again and again; SIGTERM comes at the first alert."""
    file = _command(street, tmp_path, runs.camera("one", street.video, loop=True), recognition={"cooldown_s": 3600})
    began = time.time_ns() // 1000
    with Child(overt("run", file, "--out", tmp_path / "out"), log_path=tmp_path / "log", env=_env()) as run:
        run.spawn()
        run.wait_until(lambda: "possible match" in run.log_text(), 120, what="at its first alert")
        run.terminate(60)
        assert run.exit_code == 0, run.log_text()
    (alert,) = runs.Ended(0, "", "", tmp_path / "out").alerts
    assert alert["subject_id"] == "s-1"
    assert began <= alert["captured_at_us"] <= alert["alerted_at_us"] <= time.time_ns() // 1000
    assert "Traceback" not in run.log_text()
    assert (tmp_path / "out" / "report.html").is_file()


# The window


def test_before_its_window_nothing_is_captured_and_it_can_be_told_to_end(street: Street, tmp_path: Path) -> None:
    file = _command(street, tmp_path, runs.camera("one", street.video), opens_in_s=3000)
    run = Service(overt("run", file, "--out", tmp_path / "out"), tmp_path, settings={"cache": CACHE}, name="run")
    with run:
        assert "nothing is captured before the window begins" in run.log_text()
        time.sleep(1.0)  # long enough for a camera to be opened
        scrape = run.scrape()
        assert scrape.total("overt_frames_read_total") == 0
        assert scrape.total("overt_camera_up") == 0
        run.terminate(60)
        assert run.child.exit_code == 0
    assert "reading" not in run.log_text()
    assert "Traceback" not in run.log_text()


def test_after_its_window_it_refuses_to_start(street: Street, tmp_path: Path) -> None:
    file = _command(street, tmp_path, runs.camera("one", street.video), opens_in_s=-7200, closes_in_s=-3600)
    ended = runs.here("run", file, out=tmp_path / "out", env=_env())
    assert ended.code == 2
    assert "the window ended" in ended.err
    assert not (tmp_path / "out").exists()


def test_at_the_end_of_its_window_a_run_stops_and_drains(street: Street) -> None:
    """The file would go on for ever."""
    cameras = [runs.camera("one", street.video, loop=True)]
    entries = embedded.enrolled(
        embedded.parsed(runs.deployment(cameras, street.watchlist)), embedded.settings()
    ).entries
    deployment = embedded.parsed(runs.deployment(cameras, street.watchlist, closes_in_s=4))
    run = embedded.run(deployment, embedded.settings(), entries, observe=True, realtime=True)
    assert time.time_ns() // 1000 >= deployment.window.end_us
    seen = [s.frame for s in run.sightings if s.frame.image is not None]
    assert all(deployment.window.start_us <= frame.captured_at_us < deployment.window.end_us for frame in seen)
    given_up = sum(run.total(f"overt_frames_{what}_total") for what in ("dropped", "unchanged", "shed"))
    assert len(seen) + given_up == run.total("overt_frames_read_total"), "everything was drained"


def test_of_a_recording_nothing_is_looked_at_that_was_captured_after_the_window(street: Street) -> None:
    """It begins with the window, which lasts for a second of it."""
    content = runs.deployment([runs.camera("one", street.video)], street.watchlist)
    start = datetime.fromisoformat(content["window"]["start"])
    content["window"]["end"] = (start + timedelta(seconds=1)).isoformat()
    deployment = embedded.parsed(content)
    run = embedded.run(deployment, embedded.settings(), [], observe=True)
    times = [s.frame.captured_at_us for s in run.sightings if s.frame.image is not None]
    assert len(times) == walks.FPS
    assert min(times) == deployment.window.start_us
    assert max(times) < deployment.window.end_us


# The zone


def test_pixels_outside_the_zone_are_blank_in_all_that_leaves_the_camera_service(street: Street) -> None:
    """Compared with the source, pixel by pixel; only the bounding rectangle travels."""
    cameras = [runs.camera("one", street.video, TRIANGLE)]
    run = embedded.run(
        embedded.parsed(runs.deployment(cameras, street.watchlist)), embedded.settings(), [], observe=True
    )
    mask = Zone(TRIANGLE).mask(*walks.SIZE) > 0
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert run.sightings
    for frame in (sightings.frame for sightings in run.sightings if sightings.frame.image is not None):
        assert frame.image is not None
        picture = frame.image.bgr()
        assert (frame.left, frame.top) == (columns[0], rows[0])
        assert picture.shape[:2] == (rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1)
        inside = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        source = street.frames[frame.frame_seq][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert not picture[~inside].any()
        assert np.array_equal(picture[inside], source[inside])


@pytest.mark.parametrize(("polygon", "subjects"), [(LEFT, ["s-1"]), (RIGHT, [])], ids=["inside", "outside"])
def test_who_walks_outside_the_zone_raises_nothing(
    street: Street, polygon: Sequence[Sequence[float]], subjects: list[str]
) -> None:
    """The one who is on the list walks on the left."""
    cameras = [runs.camera("one", street.video, polygon)]
    run = embedded.run(embedded.parsed(runs.deployment(cameras, street.watchlist)), embedded.settings(), observe=True)
    assert run.subjects == subjects
    found: dict[str | None, Box] = {}  # later boxes of a track may be where it is presumed, also outside
    for face in (face for sightings in run.sightings for face in sightings.faces):
        found.setdefault(face.track_id, face.box)
    assert found
    left, right = polygon[0][0] * walks.SIZE[0], polygon[1][0] * walks.SIZE[0]
    assert all(left < box.x1 and box.x2 < right for box in found.values())


# What is written


def test_without_being_asked_no_picture_of_anyone_is_written(street: Street, tmp_path: Path) -> None:
    """Neither in the output folder nor anywhere else: nothing at all is left in the folder for temporary files and in
    the user's own."""
    elsewhere = [tmp_path / "temporary", tmp_path / "home"]
    for folder in elsewhere:
        folder.mkdir()
    file = _command(street, tmp_path, runs.camera("one", street.video))
    env = _env() | {"TMPDIR": str(elsewhere[0]), "HOME": str(elsewhere[1])}
    env.pop("XDG_CACHE_HOME", None)
    ended = runs.start("run", file, "--no-realtime", out=tmp_path / "out", env=env)
    assert ended.code == 0, ended.err
    assert ended.subjects == ["s-1"]
    assert sorted(path.name for path in ended.folder.iterdir()) == ["alerts.jsonl", "report.html"]
    assert _pictures(ended.folder) == []
    assert [path for folder in elsewhere for path in folder.rglob("*")] == []
    assert _pictures_in(ended.out.encode() + ended.err.encode()) == []


def test_with_annotate_there_is_a_video_and_pictures_of_those_with_an_alert_only(
    street: Street, tmp_path: Path
) -> None:
    file = _command(street, tmp_path, runs.camera("north", street.video), runs.camera("south", street.video, RIGHT))
    ended = runs.start("run", file, "--no-realtime", "--annotate", out=tmp_path / "out", env=_env())
    assert ended.code == 0, ended.err
    names = sorted(path.name for path in ended.folder.iterdir())
    assert names == ["alerts.jsonl", "north.webm", "report.html", "south.webm"]
    for name in ("north", "south"):
        assert len(list(walks.frames_of(ended.folder / f"{name}.webm"))) == len(street.frames)
    page = Page(ended.folder / "report.html")
    pictures = [address for address in page.addresses if address.startswith("data:image/")]
    assert len(pictures) == 2 * len(ended.alerts) == 2, "who was seen, and the picture on the list"


def _pictures(folder: Path) -> list[str]:
    """What looks like a picture in the files of a folder, also inside another file or encoded as text."""
    return [
        f"{found} in {path.name}"
        for path in folder.rglob("*")
        if path.is_file()
        for found in _pictures_in(path.read_bytes())
    ]


def _pictures_in(data: bytes) -> list[str]:
    found = [name for magic, name in PICTURES.items() if magic in data]
    found += ["a data URI"] if re.search(rb"data:\s*(image|video)", data) else []
    found += ["base64 of a JPEG"] if b"/9j/" in data else []
    found += ["base64 of a PNG"] if b"iVBORw0KGgo" in data else []
    return found


def test_the_search_for_pictures_finds_them(street: Street, tmp_path: Path) -> None:
    """A check that cannot fail would be none."""
    walks.as_folder(street.frames[:1], tmp_path / "images")
    (tmp_path / "inside.bin").write_bytes(b"before" + (tmp_path / "images" / "0000.png").read_bytes())
    (tmp_path / "page.html").write_text('<img src="data:image/jpeg;base64,/9j/4AAQ">')
    assert _pictures(tmp_path / "images") == ["a PNG in 0000.png"]
    assert {found.split(" in ")[1] for found in _pictures(tmp_path)} == {"0000.png", "inside.bin", "page.html"}


# How it ends


def test_the_help_tells_every_exit_code() -> None:
    ended = runs.here("--help", out=None, env=_env())
    assert ended.code == 0
    for code, meaning in EXIT_CODES.items():
        assert re.search(rf"^ +{code} +{re.escape(meaning)}$", ended.out, re.MULTILINE)
