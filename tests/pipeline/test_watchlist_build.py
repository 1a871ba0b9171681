"""`overt watchlist build` with real models: who gets on the list, who does not and why, and what is left behind."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import pytest

from overt.messages import Box, Kind
from overt.runtime.keys.deployment_key import create_deployment_key
from overt.runtime.watchlist import enrolment
from overt.watchlist import enrol
from overt.watchlist.enrol import Extractor, Template, Unusable
from tests.support import embedded, runs, walks
from tests.support.manifests import csv_text, packed

CATEGORIES: list[dict[str, Any]] = [
    {"id": "wanted-test", "kind": "wanted", "basis": "Testing", "folder": "wanted"},
    {"id": "missing-test", "kind": "missing", "basis": "Testing", "folder": "missing", "confirmations": 1},
]
SAID = {"category": "wanted-test", "image_source": "press", "image_date": "2020-05-01", "reviewer": "R"}
GOOD = [
    {"subject_id": "s-1", "image": "people/obama.png"},
    {"subject_id": "s-1", "image": "people/obama2.png"},
    {"subject_id": "s-2", "image": "people/hopper.png"},
    {"subject_id": "m-1", "image": "people/collins.png", "category": "missing-test", "under_18": "yes"}
    | {"decision_id": "D-7", "image_date": "2021-05-01", "notes": "afraid of dogs"},
]


class Lists:
    """Portraits in the public domain beside manifests of them, and a deployment with a keyring."""

    def __init__(self, folder: Path, models: Path) -> None:
        self.folder = folder
        (folder / "people").mkdir()
        for name, file in walks.portraits().items():
            bgr = cv2.imread(str(file))
            assert bgr is not None
            scale = 400 / max(bgr.shape[:2])
            self.put(name, cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
        create_deployment_key(folder / "key")
        self.env = runs.environment(
            models_dir=models, keyring_file=folder / "keyring", deployment_key_file=folder / "key"
        )
        content = runs.deployment([runs.camera("c1", "a.mp4")], folder, models=runs.FAST)
        content["watchlist"]["categories"] = CATEGORIES
        self.deployment = runs.write(folder / "d.yaml", content)

    def put(self, name: str, bgr: Any) -> None:
        assert cv2.imwrite(str(self.folder / "people" / f"{name}.png"), bgr)

    def portrait(self, name: str) -> Any:
        bgr = cv2.imread(str(self.folder / "people" / f"{name}.png"))
        assert bgr is not None
        return bgr

    def manifest(self, name: str, rows: list[dict[str, str]]) -> Path:
        path = self.folder / name
        columns = dict.fromkeys(key for row in [SAID, *rows] for key in row)
        path.write_text(csv_text([SAID | row for row in rows], columns=columns, delimiter=";"), "utf-8-sig")
        return path

    def build(self, source: Path, name: str) -> tuple[runs.Ended, dict[str, Any]]:
        report = self.folder / f"{name}-report"
        ended = runs.here(
            *("watchlist", "build", source, "-d", self.deployment, "--out", self.folder / f"{name}.watchlist"),
            *("--report-dir", report, "--pseudonyms", self.folder / f"{name}.who.json"),
            out=None,
            env=self.env,
        )
        file = report / "report.json"
        return ended, json.loads(file.read_text("utf-8")) if file.exists() else {}

    def overt(self, *arguments: str | Path) -> runs.Ended:
        return runs.here(*arguments, "-d", self.deployment, out=None, env=self.env)


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory, test_data: Path) -> Lists:
    return Lists(tmp_path_factory.mktemp("lists"), test_data / "models")


@pytest.fixture(scope="module")
def whole(lists: Lists) -> tuple[runs.Ended, dict[str, Any]]:
    """A list without fault."""
    return lists.build(lists.manifest("whole.csv", GOOD), "whole")


def without_time(report: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name != "built_at"}


def test_a_list_without_fault_is_sealed_and_says_so(lists: Lists, whole: tuple[runs.Ended, dict[str, Any]]) -> None:
    ended, report = whole
    assert (ended.code, report["accepted"], report["refused"], report["subjects"]) == (0, 4, 0, 3)
    assert ended.out.startswith("watchlist of street-test, made ")
    missing = report["entries"][3]
    assert (missing["kind"], missing["under_18"], missing["decision_id"]) == ("missing", True, "D-7")
    assert any("a child's image" in warning for warning in missing["warnings"])
    shown = json.loads(lists.overt("watchlist", "show", lists.folder / "whole.watchlist", "--json").out)
    assert {row["entry_id"] for row in shown["entries"]} == {e["entry_id"] for e in report["entries"]}
    assert [row["notes"] for row in shown["entries"] if row["subject_id"] == "m-1"] == ["afraid of dogs"]
    assert lists.overt("watchlist", "verify", lists.folder / "whole.watchlist").code == 0


def test_its_pseudonyms_answer_who_is_on_it(lists: Lists, whole: tuple[runs.Ended, dict[str, Any]]) -> None:
    kept = lists.folder / "whole.who.json"
    asked = {
        subject: runs.here("watchlist", "was-listed", subject, "--pseudonyms", kept, out=None, env=lists.env)
        for subject in ("m-1", "m-2")
    }
    assert [(ended.code, ended.out.strip()) for ended in asked.values()] == [(0, "yes"), (7, "no")]
    assert not [e for e in whole[1]["entries"] if e["subject_id"] in kept.read_text()]


def test_its_report_is_for_the_owners_eyes_only(lists: Lists, whole: tuple[runs.Ended, dict[str, Any]]) -> None:
    """It shows people who are on a watchlist."""
    folder = lists.folder / "whole-report"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"report.txt": 0o600, "report.json": 0o600, "contact-sheet.html": 0o600}
    assert "delete it once it is reviewed" in whole[0].err
    assert not list(lists.folder.glob("*.unfinished"))


def test_an_archive_of_the_same_list_makes_the_same_list(
    lists: Lists, whole: tuple[runs.Ended, dict[str, Any]], tmp_path: Path
) -> None:
    members = {row["image"]: (lists.folder / row["image"]).read_bytes() for row in GOOD}
    manifest = (lists.folder / "whole.csv").read_bytes()
    ended, report = lists.build(packed(tmp_path / "list.zip", {**members, "manifest.csv": manifest}), "zip")
    assert ended.code == 0
    assert [e["entry_id"] for e in report["entries"]] == [e["entry_id"] for e in whole[1]["entries"]]
    assert [e["quality"] for e in report["entries"]] == [e["quality"] for e in whole[1]["entries"]]


def test_what_is_wrong_with_each_poor_image_is_said_and_the_others_are_on_the_list(lists: Lists) -> None:
    hopper, obama = lists.portrait("hopper"), lists.portrait("obama")
    height = min(hopper.shape[0], obama.shape[0])
    for name in ("two", "chosen"):
        lists.put(name, np.hstack([hopper[:height], obama[:height]]))
    lists.put("small", cv2.resize(hopper, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA))
    lists.put("blurred", cv2.GaussianBlur(hopper, (0, 0), 5))
    lists.put("nobody", np.full((200, 200, 3), 127, np.uint8))
    lists.put("sixteen", (hopper.astype(np.uint16) << 8) + hopper)
    (lists.folder / "people" / "cut.png").write_bytes((lists.folder / "people" / "hopper.png").read_bytes()[:5000])
    rows = [
        {"subject_id": "s-1", "image": "people/obama.png"},
        {"subject_id": "s-7", "image": "people/obama2.png"},
        {"subject_id": "s-2", "image": "people/two.png"},
        {"subject_id": "s-2", "image": "people/chosen.png", "box": f"0,0,{hopper.shape[1]},{height}"},
        {"subject_id": "s-3", "image": "people/small.png"},
        {"subject_id": "s-3", "image": "people/blurred.png"},
        {"subject_id": "s-3", "image": "people/nobody.png"},
        {"subject_id": "s-3", "image": "people/cut.png"},
        {"subject_id": "s-3", "image": "people/sixteen.png"},
        {"subject_id": "m-1", "image": "people/collins.png", "category": "missing-test", "under_18": "yes"},
        {"subject_id": "s-4", "image": "people/hopper.png", "valid_until": "2020-01-01T00:00:00Z"},
    ]
    ended, report = lists.build(lists.manifest("poor.csv", rows), "poor")
    assert ended.code == 6
    said = {refusal["place"].split(": ")[0]: refusal["why"] for refusal in report["refusals"]}
    assert list(said) == [f"poor.csv:{line}" for line in (4, 6, 7, 8, 9, 11, 12)], said
    reasons = {
        4: "2 faces found",
        6: "px between the eyes, 24 wanted",
        7: "blurred",
        8: "no face found",
        9: "could not be decoded",
        11: "under 18 and no decision is recorded",
        12: "it has expired",
    }
    assert [line for line, words in reasons.items() if words not in said[f"poor.csv:{line}"]] == []
    alike = [pair["what"] for pair in report["look_alikes"]]
    assert "same person?" in alike, "s-1 and s-7 are one person"
    sheet = (lists.folder / "poor-report" / "contact-sheet.html").read_text("utf-8")
    assert "perhaps one person under two ids" in sheet


def test_an_interrupted_build_goes_on_where_it_was(lists: Lists) -> None:
    manifest = lists.manifest("again.csv", GOOD)
    looked_at: list[int] = []
    real = enrol.template_of

    def until_interrupted(data: bytes, box: Box | None, extractor: Extractor) -> Template | Unusable:
        if len(looked_at) == 2:
            raise KeyboardInterrupt
        looked_at.append(len(data))
        return real(data, box, extractor)

    with mock.patch.object(enrolment, "template_of", until_interrupted):
        ended, _ = lists.build(manifest, "again")
    assert ended.code == 130
    assert "the same command goes on from here" in ended.err
    assert not (lists.folder / "again.watchlist").exists()
    with mock.patch.object(enrolment, "template_of", wraps=real) as rest:
        ended, report = lists.build(manifest, "again")
    assert "2 images are known from an interrupted build" in ended.err
    assert (ended.code, rest.call_count) == (0, len(GOOD) - 2)
    uninterrupted = lists.build(manifest, "at-once")[1]
    assert without_time(report) == without_time(uninterrupted)
    sheets = [(lists.folder / f"{name}-report" / "contact-sheet.html").read_text() for name in ("again", "at-once")]
    pictures = [[part for part in sheet.split('"') if part.startswith("data:image")] for sheet in sheets]
    assert pictures[0] == pictures[1]


def test_where_nobody_can_be_enrolled_no_file_is_written(lists: Lists) -> None:
    lists.put("grey", np.full((200, 200, 3), 127, np.uint8))
    ended, report = lists.build(lists.manifest("none.csv", [{"subject_id": "s", "image": "people/grey.png"}]), "none")
    assert (ended.code, report["accepted"]) == (6, 0)
    assert "nobody could be enrolled, and no file was written" in ended.err
    assert not (lists.folder / "none.watchlist").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("subject_id,colour\n", "column image is missing; column 'colour' is not known"),
        ("", "column subject_id is missing"),
    ],
)
def test_a_manifest_that_is_none_is_refused_as_a_whole(lists: Lists, text: str, said: str) -> None:
    (lists.folder / "bad.csv").write_text(text)
    ended, _ = lists.build(lists.folder / "bad.csv", "bad")
    assert ended.code == 6
    assert said in ended.err


def test_a_run_takes_its_watchlist_from_a_manifest_or_an_archive_too(lists: Lists, test_data: Path) -> None:
    """`watchlist.source` names them as it names a folder; the kind goes with each entry."""
    members = {row["image"]: (lists.folder / row["image"]).read_bytes() for row in GOOD[2:]}
    text = lists.manifest("run.csv", GOOD[2:]).read_bytes()
    archive = packed(lists.folder / "run.zip", {**members, "manifest.csv": text})
    settings = embedded.settings(test_data)
    for source in (lists.folder / "run.csv", archive):
        content = runs.deployment([runs.camera("c1", "a.mp4")], source, models=runs.FAST)
        content["watchlist"]["categories"] = [{**c, "folder": None} for c in CATEGORIES]
        found = embedded.enrolled(embedded.parsed(content), settings)
        assert [(e.subject_id, e.kind, e.notes) for e in found.entries] == [
            ("s-2", Kind.WANTED, ""),
            ("m-1", Kind.MISSING, "afraid of dogs"),
        ]
