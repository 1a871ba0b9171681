"""`overt demo` as a new user runs it: who is alerted on, what it leaves, and that nobody else can be seen in it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from overt.demo.cast import DEMO, DemoCast, Listed, Pass
from overt.demo.deployments import demo_deployment
from overt.demo.scene import Scene, Truth, read
from overt.governance.deployment import Models
from overt.messages import Box
from overt.picture import Bgr
from tests.support import embedded, runs, walks
from tests.support.child import Child
from tests.support.models import CACHE, real_model
from tests.support.process import overt
from tests.support.report_page import Page

pytestmark = pytest.mark.timeout(600)

SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "alert.avsc"
CLEAR, GONE = 0.9, 0.4
"""Correlation of a face's detail with the source: what is clear has above 0.95, what was replaced below 0.25."""


@dataclass(frozen=True)
class Demo:
    """A run of `overt demo` with a cache of its own, into which only models and portraits were put."""

    ended: runs.Ended
    cache: Path
    scene: Scene

    @property
    def film(self) -> Path:
        return self.ended.folder / "walk-past.webm"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the default models and the portraits, and nothing composed."""
    folder = tmp_path_factory.mktemp("cache")
    for name in ("centerface", "dlib-resnet-v1"):
        real_model(name)
    walks.portraits()
    (folder / "models").symlink_to(CACHE / "models")
    (folder / "demo").mkdir()
    (folder / "demo" / "portraits").symlink_to(CACHE / "demo" / "portraits")
    return folder


@pytest.fixture(scope="module")
def demo(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    out = tmp_path_factory.mktemp("demo") / "out"
    ended = runs.start("demo", out=out, env=runs.environment(cache=cache), timeout_s=840)
    assert ended.code == 0, ended.err
    (video,) = (cache / "demo").glob("scene-*.avi")
    return Demo(ended, cache, read(video))


def test_exactly_the_two_listed_people_are_alerted_on_and_printed(demo: Demo) -> None:
    assert demo.ended.subjects == sorted(DEMO.listed)
    printed = demo.ended.out.splitlines()
    assert len(printed) == len(DEMO.listed)
    for subject in DEMO.listed:
        assert sum(subject in line for line in printed) == 1
    assert all("UNSIGNED" in line and "possible match" in line for line in printed)


def test_a_line_holds_every_field_of_the_alert_but_its_images(demo: Demo) -> None:
    fields = json.loads(SCHEMA.read_text("utf-8"))["fields"]
    told = [field["name"] for field in fields if "overt.sealed" not in field]
    assert len(fields) - len(told) == 2, "probe image and context are the two sealed ones"
    for alert in demo.ended.alerts:
        assert list(alert) == told
        assert all(_is(field, alert[field["name"]]) for field in fields if field["name"] in alert), alert


def _is(field: dict[str, Any], value: object) -> bool:
    """Whether a JSON value is of an Avro type."""
    options = field["type"] if isinstance(field["type"], list) else [field["type"]]
    python = {"string": str, "long": int, "int": int, "double": float, "null": type(None)}
    return any(
        value in option["symbols"] if isinstance(option, dict) else type(value) is python[option] for option in options
    )


def test_the_report_fetches_nothing_and_tells_of_each_alert(demo: Demo) -> None:
    page = Page(demo.ended.folder / "report.html")
    assert "script" not in page.tags
    assert "http" not in page.styles
    assert "@import" not in page.styles
    for address in page.addresses:
        beside = demo.ended.folder / address
        assert address.startswith(("data:image/", "#")) or (Path(address).name == address and beside.is_file()), address
    for alert in demo.ended.alerts:
        assert alert["alert_id"] in page.text
    assert "UNSIGNED" in page.text
    assert "re-photograph" in page.text, "what was composed must be labelled so"


def test_the_video_shows_every_frame_of_the_zone(demo: Demo) -> None:
    shown = list(walks.frames_of(demo.film))
    assert len(shown) == demo.scene.frames
    assert len({frame.shape for frame in shown}) == 1


def test_who_raised_no_alert_cannot_be_made_out_in_the_video_and_who_did_can(demo: Demo) -> None:
    alerted = {alert["frame_seq"]: alert["subject_id"] for alert in demo.ended.alerts}
    source, shown = list(walks.frames_of(demo.scene.video)), list(walks.frames_of(demo.film))
    without = 0
    for walker in demo.scene.walkers:
        raised = any(walker.label == who and walker.first_frame <= n <= walker.last_frame for n, who in alerted.items())
        detail = _detail_kept(demo.scene, walker, source, shown)
        assert len(detail) > 30, f"{walker.label}: too few frames to judge by"
        if raised:
            assert np.mean(detail > CLEAR) > 0.8, f"{walker.label} raised an alert and is not clear: {detail}"
        else:
            without += 1
            assert detail.max() < GONE, f"{walker.label} raised no alert and can be made out: {detail}"
    assert without == 3, "two on no list, and one who came a second time within the cool-down"


def _detail_kept(scene: Scene, walker: Truth, source: list[Bgr], shown: list[Bgr]) -> NDArray[np.float64]:
    """How a face's detail in the video correlates with the source's, for each frame in which it is at least 40 px wide.

    Compared is the inner face, where neither a frame nor a label is drawn, in the pixels of the video.
    """
    zone = _rectangle(scene)
    scale = shown[0].shape[1] / zone.width
    kept = []
    for number, (x1, y1, x2, y2) in walker.boxes.items():
        if x2 - x1 < 40:
            continue
        inset_x, inset_y = (x2 - x1) / 6, (y2 - y1) / 6
        corners = (x1 + inset_x - zone.x1, y1 + inset_y - zone.y1, x2 - inset_x - zone.x1, y2 - inset_y - zone.y1)
        left, top, right, bottom = (max(0, round(corner * scale)) for corner in corners)
        if right - left < 12 or bottom - top < 12 or right > shown[0].shape[1]:
            continue
        clear = source[number][int(zone.y1) : int(zone.y2), int(zone.x1) : int(zone.x2)]
        clear = np.asarray(cv2.resize(clear, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        kept.append(_correlation(clear[top:bottom, left:right], shown[number][top:bottom, left:right]))
    return np.array(kept)


def _rectangle(scene: Scene) -> Box:
    """The zone's bounding rectangle: what travels, and what the video shows."""
    xs, ys = [x for x, _ in scene.zone], [y for _, y in scene.zone]
    width, height = scene.size
    return Box(round(min(xs) * width), round(min(ys) * height), round(max(xs) * width), round(max(ys) * height))


def _correlation(one: Bgr, other: Bgr) -> float:
    details = []
    for face in (one, other):
        grey = cv2.cvtColor(cv2.resize(face, (64, 64)), cv2.COLOR_BGR2GRAY).astype(np.float32)
        details.append(grey - cv2.GaussianBlur(grey, (0, 0), 6))
    return float(np.mean(details[0] * details[1]) / (np.std(details[0]) * np.std(details[1]) + 1e-6))


def test_a_second_run_composes_and_downloads_nothing_and_ends_when_told(demo: Demo, tmp_path: Path) -> None:
    """Until its first alert: with a package index that is not there, and every file of the cache untouched."""
    before = {path: path.stat().st_mtime_ns for path in demo.cache.rglob("*.*") if "watchlist" not in path.parts}
    env = runs.environment(cache=demo.cache) | {"PIP_NO_INDEX": "1", "PIP_INDEX_URL": "http://127.0.0.1:9/"}
    with Child(overt("demo", "--out", tmp_path / "out"), log_path=tmp_path / "log", env=env) as again:
        again.spawn()
        again.wait_until(lambda: "possible match" in again.log_text(), 120, what="at its first alert")
        again.terminate(60)
        assert again.exit_code == 0, again.log_text()
    assert not re.search("portraits|composing|downloading", again.log_text(), re.IGNORECASE)
    after = {path: path.stat().st_mtime_ns for path in demo.cache.rglob("*.*") if "watchlist" not in path.parts}
    assert after == before
    assert (tmp_path / "out" / "alerts.jsonl").read_text("utf-8").count("\n") >= 1


def test_with_the_portraits_swapped_the_others_are_alerted_on(cache: Path, test_data: Path) -> None:
    """Who was on no list is on it now, and the other way round."""
    cast = DemoCast(
        watchlist=(Listed("joe-biden", ("biden",)), Listed("eileen-collins", ("collins",))),
        passes=(
            Pass("joe-biden", "biden", rephotographed=True),
            Pass("grace-hopper", "hopper"),
            Pass("eileen-collins", "collins", rephotographed=True),
        ),
    )
    assert not cast.listed & DEMO.listed
    cheap = {"models": Models(**runs.FAST)}
    run = embedded.run(
        demo_deployment(cache / "demo", cast=cast).model_copy(update=cheap), embedded.settings(test_data)
    )
    assert run.subjects == sorted(cast.listed)
    assert run.total("overt_passes_total") >= len(cast.passes)


@pytest.fixture(scope="module")
def own_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    scene = walks.walk(folder, ("obama3", 0.45, 0.35), ("biden", 0.55, 0.65))
    return walks.as_mp4(list(walks.frames_of(scene.video)), folder / "mine.mp4", walks.FPS)


OWN_PEOPLE: dict[str, Sequence[str]] = {"s-1": ("obama", "obama3"), "s-2": ("collins",)}


def test_own_material_with_a_subfolder_for_each_subject(cache: Path, own_video: Path, tmp_path: Path) -> None:
    """Until its first alert."""
    people = walks.watchlist(tmp_path / "people", OWN_PEOPLE)
    argv = overt("demo", "--video", own_video, "--watchlist", people, "--out", tmp_path / "out")
    with Child(argv, log_path=tmp_path / "log", env=runs.environment(cache=cache)) as own:
        own.spawn()
        own.wait_until(lambda: "possible match" in own.log_text(), 120, what="at its first alert")
        own.terminate(60)
    assert "3 images of 2 subjects" in own.log_text()
    (alert,) = (tmp_path / "out" / "alerts.jsonl").read_text("utf-8").splitlines()
    assert json.loads(alert)["subject_id"] == "s-1"


def test_own_material_with_a_prefix_for_each_subject(cache: Path, own_video: Path, tmp_path: Path) -> None:
    people = walks.watchlist(tmp_path / "people", OWN_PEOPLE, prefixes=True)
    env = runs.environment(cache=cache)
    ended = runs.start("demo", "--video", own_video, "--watchlist", people, out=tmp_path / "out", env=env)
    assert ended.code == 0, ended.err
    assert ended.subjects == ["s-1"]
    assert "3 images of 2 subjects" in ended.err
    assert (tmp_path / "out" / "report.html").is_file()
    assert list(walks.frames_of(tmp_path / "out" / "walk-past.webm"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--camera", "0"], "--watchlist"),
        (["--video", "VIDEO"], "--watchlist"),
        (["--video", "VIDEO", "--camera", "0", "--watchlist", "."], "not both"),
        (["--camera", "-1", "--watchlist", "."], "-1"),
        (["--video", "nowhere.mp4", "--watchlist", "."], "nowhere.mp4"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused_before_anything_is_done(
    tmp_path: Path, arguments: list[str], told: str
) -> None:
    video = tmp_path / "video.mp4"
    shutil.copyfile(__file__, video)
    words = [str(video) if word == "VIDEO" else word for word in arguments]
    ended = runs.here("demo", *words, out=tmp_path / "out", env=runs.environment(cache=tmp_path / "cache"))
    assert ended.code == 2
    assert told in ended.err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "cache").exists()
