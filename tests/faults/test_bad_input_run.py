"""Whatever is wrong with what `overt run` is given: a reason and an exit code of its own, no hang, no traceback."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from overt.picture import Bgr
from tests.support import runs, walks
from tests.support.models import CACHE, real_model
from tests.support.ports import free_port
from tests.support.process import Service, overt

LONGEST_S = 120
"""No command here has anything to do for longer; a hang fails the test."""


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[Bgr]:
    """A short walk of one listed person."""
    for name in ("centerface", "dlib-resnet-v1"):
        real_model(name)
    scene = walks.walk(tmp_path_factory.mktemp("walk"), ("obama3", 0.45, 0.35))
    return list(walks.frames_of(scene.video))


@pytest.fixture(scope="module")
def video(frames: list[Bgr], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return walks.as_mp4(frames, tmp_path_factory.mktemp("video") / "walk.mp4", walks.FPS)


@pytest.fixture(scope="module")
def people(frames: list[Bgr], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return walks.watchlist(tmp_path_factory.mktemp("list") / "people", {"s-1": ("obama", "obama3")})


def _env(**settings: str | Path) -> dict[str, str]:
    return runs.environment(**({"cache": CACHE} | settings))


def _refused(ended: runs.Ended, code: int, *told: str) -> None:
    assert ended.code == code, ended.err
    assert ended.err.splitlines()[-1].strip()
    for words in told:
        assert words in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""


# The deployment file


def _lines(people: Path, video: Path) -> list[str]:
    text = yaml.safe_dump(runs.deployment([runs.camera("one", video)], people), sort_keys=False)
    return str(text).splitlines()


Change = tuple[str, str, str]
"""A line as it begins, what stands there instead, and the words that the message must hold."""

BAD_LINES: dict[str, Change] = {
    "a number where text is wanted": ("deployment: ", "deployment: 17", "deployment"),
    "a name that is no name": ("deployment: ", "deployment: ../../etc", "deployment"),
    "nothing where text is wanted": ("purpose: ", "purpose:", "purpose"),
    "an unknown key": ("purpose: ", "purpos: Find out", "purpos"),
    "a key twice": ("purpose: ", "deployment: again", "deployment"),
    "a time without an offset": ("  start: ", "  start: 2026-01-01T10:00:00", "window.start"),
    "no time at all": ("  end: ", "  end: tomorrow", "window.end"),
    "an end before the start": ("  end: ", "  end: 2001-01-01T10:00:00+00:00", "window.end"),
    "a partition that is text": ("  partition: ", "  partition: first", "cameras[0].partition"),
    "a negative partition": ("  partition: ", "  partition: -1", "cameras[0].partition"),
    "an address that is not read": ("  source: ", "  source: http://camera/stream", "cameras[0].source"),
    "a number for a camera": ("  source: ", "  source: 0", "usb:0"),
    "a file that is not there": ("  source: ", "  source: nowhere.mp4", "nowhere.mp4"),
    "a category that says nothing": ("  - id: wanted-test", "  - id: other", "other"),
    "a kind that is none": ("    kind: ", "    kind: suspicious", "kind"),
    "a layout that is none": ("  subjects: ", "  subjects: by-colour", "watchlist.subjects"),
    "a tab": ("purpose: ", "\tpurpose: x", "tab"),
    "an unclosed bracket": ("purpose: ", "purpose: [a, b", ""),
    "an unclosed quote": ("purpose: ", 'purpose: "a', ""),
    "an anchor that is not there": ("purpose: ", "purpose: *nowhere", ""),
    "a tag that makes an object": ("purpose: ", "purpose: !!python/object/apply:os.system [id]", ""),
}


@pytest.mark.parametrize("what", BAD_LINES)
def test_a_bad_deployment_file_is_refused_with_its_line_and_field(
    what: str, people: Path, video: Path, tmp_path: Path
) -> None:
    begins, instead, told = BAD_LINES[what]
    lines = _lines(people, video)
    number = next(n for n, line in enumerate(lines) if line.startswith(begins))
    lines[number] = instead
    file = tmp_path / "deployment.yaml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    ended = runs.here("run", file, out=tmp_path / "out", env=_env())
    _refused(ended, 2, f"{file}:", told)
    named = {int(part.split(":")[0]) for part in ended.err.split(f"{file}:")[1:] if part[0].isdigit()}
    if what.startswith("an unclosed"):  # where it was noticed, which is at its line or later
        assert max(named) >= number + 1
    else:
        assert number + 1 in named, ended.err
    assert not (tmp_path / "out").exists()


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "a list": (b"- one\n- two\n", "list"),
    "a text": (b"just words\n", "text"),
    "bytes": (bytes(range(256)), "UTF-8"),
    "too large": (b"# " + b"x" * (2 << 20), "1 MiB"),
    "a bomb of aliases": (
        b"a: &a [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(b"%c: &%c [%s]\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 9)) for n in range(98, 110)),
        "",
    ),
    "very deep": (b"[" * 5000, ""),
    "two documents": (b"deployment: a\n---\ndeployment: b\n", ""),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_file_that_is_no_deployment_file_is_refused(what: str, tmp_path: Path) -> None:
    content, told = BAD_FILES[what]
    file = tmp_path / "deployment.yaml"
    file.write_bytes(content)
    _refused(runs.here("run", file, out=tmp_path / "out", env=_env()), 2, str(file), told)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"models": {"detector": "eyes"}}, "eyes"),
        ({"models": {"embedder": "centerface"}}, "embedder is wanted"),
    ],
    ids=["a model that is not known", "a detector for an embedder"],
)
def test_models_that_are_none_are_refused(
    change: dict[str, Any], told: str, people: Path, video: Path, tmp_path: Path
) -> None:
    file = runs.write(tmp_path / "d.yaml", runs.deployment([runs.camera("one", video)], people, **change))
    _refused(runs.here("run", file, out=tmp_path / "out", env=_env()), 3, told)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "expected"), (b"a\nb\n", "one line"), (b"\xff\xfe\x00", "UTF-8"), (b"ftp://u:secret@h/x\n", "expected")],
    ids=["empty", "two lines", "no text", "another kind"],
)
def test_a_source_file_that_holds_no_source_is_refused_without_being_shown(
    content: bytes, told: str, people: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(content)
    camera = runs.camera("one", "unused")
    camera["source_file"] = str(tmp_path / "secret")
    del camera["source"]
    file = runs.write(tmp_path / "d.yaml", runs.deployment([camera], people))
    ended = runs.here("run", file, out=tmp_path / "out", env=_env())
    _refused(ended, 5, "camera one", told)
    assert "u:secret" not in ended.err


# Models


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: path.unlink(), "overt models pull"),
        (lambda path: path.write_bytes(b""), "overt models pull"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"), "sha256"),
    ],
    ids=["missing", "empty", "one byte changed"],
)
@pytest.mark.parametrize("model", ["centerface", "dlib-resnet-v1"])
def test_a_model_that_is_missing_or_wrong_is_refused_and_what_to_do_is_said(
    model: str, damage: Callable[[Path], object], told: str, people: Path, video: Path, tmp_path: Path
) -> None:
    shutil.copytree(CACHE / "models", tmp_path / "cache" / "models")
    damage(tmp_path / "cache" / "models" / f"{model}.onnx")
    file = runs.write(tmp_path / "d.yaml", runs.deployment([runs.camera("one", video)], people))
    ended = runs.here("run", file, out=tmp_path / "out", env=_env(cache=tmp_path / "cache"))
    _refused(ended, 3, model, told, f"overt models pull {model}")
    assert not (tmp_path / "out").exists()


# The watchlist


def _no_images(folder: Path, frames: list[Bgr]) -> str:
    del frames
    folder.mkdir()
    return "no image for category wanted-test"


def _an_empty_subject(folder: Path, frames: list[Bgr]) -> str:
    (folder / "s-1").mkdir(parents=True)
    return "no image of subject s-1"


def _an_image_of_nobody(folder: Path, frames: list[Bgr]) -> str:
    (folder / "s-1").mkdir(parents=True)
    cv2.imwrite(str(folder / "s-1" / "wall.png"), np.full((240, 320, 3), 128, np.uint8))
    return "wall.png: no face found"


def _two_faces(folder: Path, frames: list[Bgr]) -> str:
    (folder / "s-1").mkdir(parents=True)
    portrait = cv2.imread(str(walks.portraits()["hopper"]))
    assert portrait is not None
    cv2.imwrite(str(folder / "s-1" / "both.png"), np.hstack([portrait, portrait]))
    return "both.png: 2 faces found"


def _no_pictures(folder: Path, frames: list[Bgr]) -> str:
    (folder / "s-1").mkdir(parents=True)
    (folder / "s-1" / "empty.jpg").write_bytes(b"")
    (folder / "s-1" / "words.png").write_bytes(b"these are words")
    (folder / "s-1" / "huge.png").write_bytes(_png_of_60000_x_60000())
    whole = cv2.imencode(".jpg", frames[10])[1].tobytes()
    (folder / "s-1" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    return "4/4"


def _a_stray_file(folder: Path, frames: list[Bgr]) -> str:
    (folder / "s-1").mkdir(parents=True)
    (folder / "notes.txt").write_text("who is who")
    return "notes.txt"


@pytest.mark.parametrize(
    "make", [_no_images, _an_empty_subject, _an_image_of_nobody, _two_faces, _no_pictures, _a_stray_file]
)
def test_a_watchlist_from_which_nobody_can_be_enrolled_is_refused_by_name(
    make: Callable[[Path, list[Bgr]], str], frames: list[Bgr], video: Path, tmp_path: Path
) -> None:
    told = make(tmp_path / "people", frames)
    file = runs.write(tmp_path / "d.yaml", runs.deployment([runs.camera("one", video)], tmp_path / "people"))
    ended = runs.here("run", file, out=tmp_path / "out", env=_env())
    _refused(ended, 6, told)
    assert not (tmp_path / "out").exists()


def test_one_bad_image_is_said_and_the_others_are_used(
    frames: list[Bgr], people: Path, video: Path, tmp_path: Path
) -> None:
    shutil.copytree(people, tmp_path / "people")
    (tmp_path / "people" / "s-1" / "words.png").write_bytes(b"these are words")
    file = runs.write(tmp_path / "d.yaml", runs.deployment([runs.camera("one", video)], tmp_path / "people"))
    ended = runs.start("run", file, "--no-realtime", out=tmp_path / "out", env=_env(), timeout_s=LONGEST_S)
    assert ended.code == 0
    assert "not enrolled" in ended.err
    assert "words.png" in ended.err
    assert ended.subjects == ["s-1"]


# Cameras


def _png_of_60000_x_60000() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def _bad_sources(frames: list[Bgr], good: Path, folder: Path) -> dict[str, Path]:
    """Files that no picture can be had from."""
    small = [np.asarray(cv2.resize(frame, (160, 90)), np.uint8) for frame in frames[:5]]
    gif = bytearray(walks.as_gif(small, folder / "small.gif", walks.FPS).read_bytes())
    gif[6:10] = struct.pack("<HH", 65_535, 65_535)
    (folder / "images").mkdir()
    contents = {
        "empty.mp4": b"",
        "garbage.mp4": os.urandom(50_000),
        "cut.mp4": good.read_bytes()[: good.stat().st_size // 2],
        "words.gif": b"GIF89a these are words",
        "huge.gif": bytes(gif),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name.replace(".", "-"): folder / name for name in contents} | {"no-images": folder / "images"}


def test_cameras_that_cannot_be_read_are_named_and_the_others_run_to_their_end(
    frames: list[Bgr], video: Path, people: Path, tmp_path: Path
) -> None:
    """One process with every kind of bad file, one that is damaged in places, and one good."""
    damaged = walks.as_folder(frames, tmp_path / "damaged")
    (damaged / "0003.png").write_bytes(b"")
    (damaged / "0004.png").write_bytes((damaged / "0005.png").read_bytes()[:1000])
    (damaged / "0006.png").write_bytes(_png_of_60000_x_60000())
    gif = walks.as_gif(frames, tmp_path / "whole.gif", walks.FPS).read_bytes()
    (tmp_path / "short.gif").write_bytes(gif[: len(gif) * 3 // 4])
    bad = _bad_sources(frames, video, tmp_path)
    partly = {"damaged": damaged, "short": tmp_path / "short.gif"}
    cameras = [runs.camera(name, source) for name, source in ({"good": video} | partly | bad).items()]
    file = runs.write(tmp_path / "d.yaml", runs.deployment(cameras, people))
    ended = runs.start("run", file, "--no-realtime", out=tmp_path / "out", env=_env(), timeout_s=LONGEST_S)
    assert ended.code == 5, ended.err
    assert f"{len(bad)} of {len(cameras)} cameras could not be read" in ended.err
    last = ended.err[ended.err.index("cameras could not be read") :]
    for name in bad:
        assert f"camera {name}: " in last
    assert "Camera damaged: 3 damaged pictures left out" in ended.err
    assert "Camera short could be read in part only" in ended.err
    assert "Traceback" not in ended.err
    assert {alert["camera_id"] for alert in ended.alerts} >= {"good", "damaged"}
    assert set(ended.subjects) == {"s-1"}
    report = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert all(name in report for name in bad)
    assert "3 damaged pictures" in report


def test_a_camera_that_never_opens_is_tried_again_counted_and_holds_nothing_up(
    video: Path, people: Path, tmp_path: Path
) -> None:
    """A port at which nobody listens, one that accepts and says nothing, and no camera on USB; beside a file."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.listen(16)
        cameras = [
            runs.camera("closed", f"rtsp://127.0.0.1:{free_port()}/x"),
            runs.camera("silent", f"rtsp://user:secret@127.0.0.1:{silent.getsockname()[1]}/x"),
            runs.camera("usb", "usb:987"),
            runs.camera("file", video, loop=True),
        ]
        file = runs.write(tmp_path / "d.yaml", runs.deployment(cameras, people))
        command = overt("run", file, "--out", tmp_path / "out")
        with Service(command, tmp_path, settings={"cache": CACHE}, name="run") as run:
            run.wait_for("overt_camera_reconnects_total", 2, LONGEST_S, camera="closed")
            run.wait_for("overt_camera_reconnects_total", 1, LONGEST_S, camera="usb")
            run.wait_for("overt_frames_read_total", 20, LONGEST_S, camera="file")
            scrape = run.scrape()
            assert {name: scrape.total("overt_camera_up", camera=name) for name in ("closed", "silent", "usb")} == {
                "closed": 0,
                "silent": 0,
                "usb": 0,
            }
            assert scrape.total("overt_camera_up", camera="file") == 1
            run.terminate(LONGEST_S)
            assert run.child.exit_code == 0, run.log_text()
    assert "Traceback" not in run.log_text()
    assert "secret" not in run.log_text()
    assert "camera closed: rtsp://127.0.0.1" in run.log_text()


def test_a_live_camera_cannot_be_run_without_real_time(people: Path, tmp_path: Path) -> None:
    file = runs.write(tmp_path / "d.yaml", runs.deployment([runs.camera("one", "rtsp://127.0.0.1:9/x")], people))
    ended = runs.here("run", file, "--no-realtime", out=tmp_path / "out", env=_env())
    _refused(ended, 5, "camera one", "leave out --no-realtime")


# Settings and results


@pytest.mark.parametrize(
    ("setting", "value"), [("detector_batch", "none"), ("metrics_port", "70000"), ("kafka_config", "{")]
)
def test_a_wrong_setting_is_named(setting: str, value: str, people: Path, video: Path, tmp_path: Path) -> None:
    file = runs.write(tmp_path / "d.yaml", runs.deployment([runs.camera("one", video)], people))
    ended = runs.here("run", file, out=tmp_path / "out", env=_env(**{setting: value}))
    _refused(ended, 2, f"OVERT_{setting.upper()}")


def test_a_metrics_port_that_is_taken_is_named(people: Path, video: Path, tmp_path: Path) -> None:
    file = runs.write(tmp_path / "d.yaml", runs.deployment([runs.camera("one", video)], people))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = runs.here("run", file, out=tmp_path / "out", env=_env(metrics_port=str(port)))
    _refused(ended, 2, "OVERT_METRICS_PORT", str(port))


def test_a_file_in_the_place_of_the_output_folder_is_named(people: Path, video: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    file = runs.write(tmp_path / "d.yaml", runs.deployment([runs.camera("one", video)], people))
    ended = runs.here("run", file, out=tmp_path / "taken" / "out", env=_env())
    _refused(ended, 8, str(tmp_path / "taken"), "--out")


@pytest.mark.parametrize(
    ("most_bytes", "left"), [(256, ["alerts.jsonl"]), (2000, ["alerts.jsonl", "one.webm"])], ids=["alerts", "report"]
)
def test_a_disk_that_takes_no_more_ends_the_run_with_a_reason(
    most_bytes: int, left: list[str], video: Path, people: Path, tmp_path: Path
) -> None:
    """A limit on the size of files stands for the full disk. The alert that cannot be kept has been shown."""
    file = runs.write(tmp_path / "d.yaml", runs.deployment([runs.camera("one", video)], people))
    arguments = ["--no-realtime", *(["--annotate"] if "one.webm" in left else [])]
    done = subprocess.run(
        overt("run", file, *arguments, "--out", tmp_path / "out"),
        env=_env(),
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes)),
    )
    assert done.returncode == 8, done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert "s-1" in done.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == left


def test_a_video_that_takes_no_more_is_said_and_the_report_is_written(
    video: Path, people: Path, tmp_path: Path
) -> None:
    """The report of this run has some 30 kB, its video more."""
    file = runs.write(tmp_path / "d.yaml", runs.deployment([runs.camera("one", video)], people))
    most_bytes = 80_000
    done = subprocess.run(
        overt("run", file, "--no-realtime", "--annotate", "--out", tmp_path / "out"),
        env=_env(),
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes)),
    )
    assert done.returncode == 8, done.stderr
    assert "one.webm" in done.stderr.splitlines()[-1]
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    assert len((tmp_path / "out" / "alerts.jsonl").read_text("utf-8").splitlines()) == 1
