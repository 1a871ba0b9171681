"""`overt evaluate video` with real models: few people, small pictures, and every pass accounted for."""

from __future__ import annotations

import csv
import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from overt.cli.evaluate_video import video
from overt.evaluation.datasets import read_dataset
from overt.evaluation.estimate import Estimate
from overt.evaluation.video.cast import Parts
from overt.evaluation.video.conditions import Conditions
from overt.evaluation.video.evaluated import Evaluated
from overt.evaluation.video.measures import summarise
from overt.evaluation.video.plan import Plan
from overt.evaluation.video.records import StretchRecord
from overt.evaluation.video.runs import evaluate_composed
from overt.evaluation.video.setting import Operating
from overt.evaluation.video.stretch import Stopped
from overt.runtime.settings import Settings
from tests.support.models import real_model
from tests.support.scenes import PEOPLE, Scenes, subject

LISTED = ("Ray_Romano", "Chanda_Rubin")


def _nothing(what: str, done: int, total: int) -> None:
    del what, done, total


@pytest.fixture(scope="module")
def photographs(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people with several photographs and others with one."""
    for name in ("yunet-s", "mobilefacenet-192"):
        real_model(name)
    folder, lfw = tmp_path_factory.mktemp("photographs"), test_data / "lfw"
    single = [path for path in sorted(lfw.iterdir()) if path.is_dir() and len(list(path.iterdir())) == 1][:3]
    for person in [*(lfw / name for name in LISTED), *single]:
        shutil.copytree(person, folder / person.name)
    return folder


@pytest.fixture(scope="module")
def site(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(cache=tmp_path_factory.mktemp("cache"), models_dir=test_data / "models")


@pytest.fixture(scope="module")
def plan(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return Plan(
        read_dataset(photographs),
        Parts(enrolled=2, unlisted_images=1),
        Conditions(size=(480, 270), fps=5.0, face_px=(36.0, 70.0), seconds=(1.6, 1.8), at_once=2),
        Operating("yunet-s", "mobilefacenet-192"),
        stretch=3,
        keep=tmp_path_factory.mktemp("pictures"),
    )


@pytest.fixture(scope="module")
def evaluated(plan: Plan, site: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluated, Path]:
    folder = tmp_path_factory.mktemp("kept")
    return evaluate_composed(plan, site, folder, stop=threading.Event(), progress=_nothing), folder


def _told(stretches: tuple[StretchRecord, ...]) -> list[StretchRecord]:
    """Without what a clock says."""
    return [replace(each, wall_s=0.0, pipeline_cpu_s=0.0, composing_cpu_s=0.0) for each in stretches]


def test_every_pass_is_accounted_for_and_the_list_is_found(evaluated: tuple[Evaluated, Path]) -> None:
    result, _ = evaluated
    passes = [each for stretch in result.stretches for each in stretch.passes]
    assert [each.number for each in passes] == list(range(5))
    assert {each.person for each in passes if any(alert.right for alert in each.alerts)} == set(LISTED)
    assert not any(each.alerts for each in passes if not each.listed)
    assert all(each.acquired and each.detected_frames and each.tracks for each in passes)
    assert all(len(each.crops) <= 4 for each in passes)
    summary = summarise(result.stretches, threshold=result.threshold, realtime=False)
    assert summary.cost.ghosts == 0
    assert summary.cost.cpu_ms > 0
    agreement = summary.alerting.agreement
    assert isinstance(agreement, Estimate)
    assert agreement.value == 1


def test_what_is_finished_is_not_done_again(evaluated: tuple[Evaluated, Path], plan: Plan, site: Settings) -> None:
    result, folder = evaluated
    steps: list[tuple[str, int, int]] = []
    again = evaluate_composed(plan, site, folder, stop=threading.Event(), progress=lambda *step: steps.append(step))
    assert again.stretches == result.stretches
    assert [step for step in steps if step[0] == "walk-pasts"] == [("walk-pasts", 3, 5), ("walk-pasts", 5, 5)]


def test_kept_pictures_give_the_same_records_as_composed_ones(
    evaluated: tuple[Evaluated, Path], plan: Plan, site: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, folder = evaluated
    monkeypatch.setattr("overt.evaluation.video.composed.shots", None)  # nothing may be composed any more
    again = evaluate_composed(plan, site, folder, stop=threading.Event(), progress=_nothing, fresh=True)
    assert _told(again.stretches) == _told(result.stretches)


def test_a_run_that_is_stopped_keeps_what_was_finished(plan: Plan, site: Settings, tmp_path: Path) -> None:
    stop = threading.Event()

    def in_the_second(what: str, done: int, total: int) -> None:
        del total
        if what == "walk-pasts" and done > 3:  # in the second stretch
            stop.set()

    with pytest.raises(Stopped):
        evaluate_composed(plan, site, tmp_path, stop=stop, progress=in_the_second)
    assert [path.name for path in tmp_path.rglob("*.json")] == ["0000.json"]


Invoke = Callable[..., str]


@pytest.fixture
def invoke(site: Settings, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.setenv("OVERT_CACHE", str(site.cache))
    monkeypatch.setenv("OVERT_MODELS_DIR", str(site.models_dir))

    def run(*arguments: str | Path) -> str:
        done = CliRunner().invoke(video, [str(argument) for argument in arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    return run


def test_a_recording_is_judged_by_its_labels(scenes: Scenes, tmp_path: Path, invoke: Invoke) -> None:
    """One listed and one unlisted person pass, one after the other; the results lie in the folder."""
    listed, other = PEOPLE[:2]
    scene = scenes.walk([listed, other], every_s=3.4, seed=5)
    watchlist = scenes.watchlist([listed], tmp_path / "people")
    labels = tmp_path / "who.csv"
    labels.write_text(f"person,from,until\n{subject(listed)},0.3,3.3\n{subject(other)},3.6,6.8\n")
    options = ("--detector", "yunet-s", "--embedder", "mobilefacenet-192", "--out", tmp_path / "out")
    said = invoke(scene.video, "--labels", labels, "--watchlist", watchlist, *options)
    assert "1 of 1" in said
    assert "none in 1" in said
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["kind"] == "video"
    assert result["measures"]["alerting"]["tpir"]["count"] == 1
    rows = list(csv.DictReader((tmp_path / "out" / "passes.csv").open()))
    assert [(row["person"], row["alerted"]) for row in rows] == [
        (subject(listed), subject(listed)),
        (subject(other), ""),
    ]
    assert "<svg" in (tmp_path / "out" / "index.html").read_text()
