"""`overt evaluate identify`, `groups` and `labels` as whoever types them meets them, with real models on few images."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tests.support.models import real_model
from tests.support.typed import Done, typed

MODELS = ("yunet-s", "mobilefacenet-192")
"""The cheapest pair."""
FAST = ("--detector", MODELS[0], "--embedder", MODELS[1], "--splits", "3", "--resamples", "200")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, test_data: Path) -> Path:
    """A folder with models, and images of 12 people of LFW of whom 8 have two images or more."""
    folder = tmp_path_factory.mktemp("evaluate")
    (folder / "models").mkdir()
    for name in MODELS:
        (folder / "models" / f"{name}.onnx").symlink_to(real_model(name))
    people = [p for p in sorted((test_data / "lfw").iterdir()) if p.is_dir()]
    some = [p for p in people if len(list(p.iterdir())) == 2][:8] + [p for p in people if len(list(p.iterdir())) == 1][
        :4
    ]
    for person in some:
        (folder / "people" / person.name).mkdir(parents=True)
        for image in sorted(person.iterdir()):
            (folder / "people" / person.name / image.name).symlink_to(image)
    (folder / "people" / some[0].name / "torn.jpg").write_bytes(b"no image")
    return folder


def evaluate(place: Path, *words: str | Path) -> Done:
    """`overt evaluate ...` with those models and a cache of its own."""
    return typed("evaluate", *words, cache=place / "cache", models_dir=place / "models")


@pytest.fixture(scope="module")
def identified(place: Path) -> Done:
    """What `identify --out` does."""
    return evaluate(place, "identify", place / "people", *FAST, "--out", place / "out")


def test_identify_tells_tables_and_writes_what_is_needed_to_make_it_again(identified: Done, place: Path) -> None:
    assert identified.returncode == 0, identified.stderr
    assert "templates, images: 21/21" in identified.stderr
    assert "1 the file cannot be read as an image" in identified.stdout
    assert "rank 1" in identified.stdout
    text = (place / "out" / "result.json").read_text("utf-8")
    result = json.loads(text)
    assert (result["format"], result["version"], result["kind"]) == ("overt-evaluation", 1, "identify")
    assert result["data"]["images"] == 21
    assert re.fullmatch("[0-9a-f]{64}", result["models"]["embedder_sha256"])
    assert result["measures"]["identification"]["rank1"]["value"] >= 0.7  # an image of a listed person is torn
    assert not any(person.name in text for person in (place / "people").iterdir())
    written = {file.name for file in (place / "out").iterdir()}
    assert {"index.html", "det.csv", "det.svg", "searches.csv", "similarities.csv", "histogram.svg"} <= written


def test_the_page_holds_everything_fetches_nothing_and_names_nobody(identified: Done, place: Path) -> None:
    assert identified.returncode == 0, identified.stderr
    page = (place / "out" / "index.html").read_text("utf-8")
    assert page.count("<svg") == 3
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "@import" not in page
    assert "#010203" not in page  # every stand-in was replaced by a colour of the page
    assert "var(--series-1)" in page
    assert not any(person.name in page for person in (place / "people").iterdir())


def test_the_same_command_gives_the_same_numbers_with_and_without_the_cache(identified: Done, place: Path) -> None:
    assert identified.returncode == 0, identified.stderr
    kept = json.loads((place / "out" / "result.json").read_text("utf-8"))
    command = ("identify", place / "people", *FAST, "--json")
    fresh, other = (json.loads(evaluate(place, *command, *more).stdout) for more in (["--no-cache"], ["--seed", "7"]))
    assert fresh["measures"] == kept["measures"]
    assert other["measures"] != kept["measures"]
    assert other["data"] == fresh["data"] == kept["data"]


def test_without_the_mirrored_chip_it_is_another_space_without_a_cards_thresholds(place: Path) -> None:
    done = evaluate(place, "identify", place / "people", *FAST, "--no-mirror", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["models"]["space_id"].endswith("-mirror")
    assert result["measures"]["thresholds"] == []


def test_groups_are_compared_by_labels_that_were_brought(place: Path) -> None:
    people = sorted(person.name for person in (place / "people").iterdir())
    rows = [f"{name},{'east' if number % 2 else 'west'}" for number, name in enumerate(people)]
    (place / "labels.csv").write_text("\n".join(["person,camera", *rows, "Nobody,east"]), "utf-8")
    done = evaluate(
        place, "groups", place / "people", *FAST, "--labels", place / "labels.csv", "--by", "camera",
        "--fpir", "0.3", "--fmr", "0.1", "--out", place / "groups",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1 of 13 lines of the labels name no person of the data" in done.stderr
    assert "the threshold that is right for the worst group" in done.stdout
    written = (place / "groups" / "groups.csv").read_text("utf-8")
    assert written.count("camera,east") == written.count("camera,west") == 3
    assert "<svg" in (place / "groups" / "index.html").read_text("utf-8")


def test_images_without_identities_have_fmr_only(place: Path) -> None:
    images = sorted((place / "people").rglob("*_0001.jpg"))
    (place / "faces").mkdir(exist_ok=True)
    for number, image in enumerate(images):
        target = place / "faces" / f"{20 + number}_{number % 2}_1_2017{number:04}.jpg"
        target.unlink(missing_ok=True)
        target.symlink_to(image.resolve())
    printed = evaluate(place, "labels", "utkface", place / "faces")
    assert printed.returncode == 0
    (place / "utk.csv").write_text(printed.stdout, "utf-8")
    compared = ("--labels", place / "utk.csv", "--by", "sex", "--fmr", "0.1")
    done = evaluate(place, "groups", place / "faces", *FAST, *compared)
    assert done.returncode == 0, done.stderr
    assert "not measurable here: the images have no identities" in done.stdout
    refused = evaluate(place, "identify", place / "faces", *FAST)
    assert refused.returncode == 5
    assert "nothing says which images show the same person" in refused.stderr


def test_what_cannot_be_read_ends_with_its_reason(place: Path) -> None:
    (place / "bad.csv").write_text("image,person\npeople/none.jpg,ann\n", "utf-8")
    done = evaluate(place, "identify", place / "bad.csv", *FAST)
    assert (done.returncode, done.stdout) == (5, "")
    assert "line 2: image people/none.jpg is no file" in done.stderr
    done = evaluate(place, "identify", place / "people", "--embedder", "nobody")
    assert done.returncode == 3
    assert "No model is called 'nobody'" in done.stderr


def test_plots_without_their_package_are_refused_before_the_work(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = evaluate(place, "identify", place / "people", *FAST, "--out", place / "no")
    assert done.returncode == 2
    assert "install overt[evaluation]" in done.stderr
    assert not (place / "no").exists()


def test_results_that_cannot_be_written_are_said(place: Path) -> None:
    (place / "file").write_text("in the way", "utf-8")
    done = evaluate(place, "identify", place / "people", *FAST, "--splits", "1", "--out", place / "file" / "out")
    assert done.returncode == 8
    assert "cannot be written" in done.stderr
