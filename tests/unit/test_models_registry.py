"""Finding, verifying, importing and converting model files: accepted for their sha256 only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from overt.models.convert import CONVERTERS
from overt.models.errors import MissingModel, NotConverted, NotWritable, WrongBytes
from overt.models.files import put_atomically
from tests.support.tiny_models import MODEL, World, digest


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.index))
    return made


def test_a_missing_model_says_how_to_get_it(world: World) -> None:
    with pytest.raises(MissingModel, match="Run: overt models pull from-sdist"):
        world.registry().path("from-sdist")
    with pytest.raises(MissingModel, match=r"theirs\.onnx.*OVERT_MODELS_DIR"):
        world.registry().pull("own")
    assert world.registry().status("own").state == "missing"


def test_a_search_folder_is_used_and_a_wrong_file_in_it_passed_over(world: World, tmp_path: Path) -> None:
    bad, good = tmp_path / "bad", tmp_path / "good"
    for folder, data in ((bad, b"x" * len(MODEL)), (good, MODEL)):
        folder.mkdir()
        (folder / "theirs.onnx").write_bytes(data)
    assert world.registry(bad, good).path("own") == good / "theirs.onnx"
    only_bad = world.registry(bad)
    with pytest.raises(WrongBytes, match=r"bad/theirs\.onnx: sha256 is .*expected"):
        only_bad.path("own")
    status = only_bad.status("own")
    assert (status.state, status.path) == ("wrong", None)
    assert "OVERT_MODELS_DIR" in status.problem


def test_in_a_search_folder_a_file_is_found_under_any_name(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "a-of-the-same-size.bin").write_bytes(b"x" * len(MODEL))
    assert world.registry(folder).status("own").state == "missing", "what has another name is not called wrong"
    (folder / "renamed.bin").write_bytes(MODEL)
    assert world.registry(folder).path("own") == folder / "renamed.bin"
    (folder / "theirs.onnx").write_bytes(b"x" * len(MODEL))
    assert world.registry(folder).path("own") == folder / "renamed.bin"
    (folder / "renamed.bin").unlink()
    assert world.registry(folder).status("own").state == "wrong"


def test_a_changed_file_is_noticed_and_verify_notices_what_hides_its_change(world: World) -> None:
    registry = world.registry()
    path = registry.pull("from-wheel")
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"X")
    with pytest.raises(WrongBytes, match="Run: overt models pull from-wheel"):
        registry.path("from-wheel")

    with path.open("r+b") as file:
        file.write(MODEL[:1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    registry.path("from-wheel")
    with path.open("r+b") as file:
        file.write(b"X")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert registry.path("from-wheel") == path, "hashed once while its size and time are the same"
    assert registry.verify("from-wheel").state == "wrong"


def test_a_folder_is_imported_by_content_on_a_machine_without_network(world: World, tmp_path: Path) -> None:
    for kind, content in (("archive", world.sdist.read_bytes()), ("original", MODEL)):
        folder = tmp_path / kind
        folder.mkdir()
        (folder / "renamed.bin").write_bytes(content)
        (folder / "unrelated.txt").write_text("of no interest")
    assert world.registry().import_folder(tmp_path / "archive") == ("from-sdist",)
    assert world.registry().import_folder(tmp_path / "original") == ("from-wheel", "own"), (
        "what was ready is left alone"
    )
    assert world.registry().path("own").read_bytes() == MODEL
    with pytest.raises(MissingModel, match="no folder"):
        world.registry().import_folder(tmp_path / "nowhere")


def test_a_ready_file_is_imported_without_converting_it_again(world: World, tmp_path: Path) -> None:
    ready = b"already converted"
    source = yaml.safe_load((world.cards / "from-sdist.yaml").read_text())["source"]
    world.card("from-sdist", source, converter="centerface_dynamic", onnx=digest(ready))
    (tmp_path / "usb").mkdir()
    (tmp_path / "usb" / "a.onnx").write_bytes(ready)
    assert world.registry().import_folder(tmp_path / "usb") == ("from-sdist",)


def test_an_original_that_the_converter_does_not_know_is_refused(world: World) -> None:
    source = yaml.safe_load((world.cards / "from-wheel.yaml").read_text())["source"]
    for converter in CONVERTERS:
        world.card("from-wheel", source, converter=converter, onnx=digest(b"never made"))
        with pytest.raises(NotConverted, match=f"from-wheel: converter {converter} refused"):
            world.registry().import_folder(world.index)
        assert not (world.cache / "from-wheel.onnx").exists()


def test_a_conversion_with_another_result_is_not_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    source = yaml.safe_load((world.cards / "from-wheel.yaml").read_text())["source"]
    world.card("from-wheel", source, converter="centerface_dynamic", onnx=digest(b"what was expected"))
    monkeypatch.setattr("overt.models.convert.CONVERTERS", {"centerface_dynamic": lambda original: original[:-1]})
    with pytest.raises(NotConverted, match=r"uv\.lock"):
        world.registry().import_folder(world.index)
    assert not (world.cache / "from-wheel.onnx").exists()


def test_a_reader_never_sees_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "model.onnx"
    target.write_bytes(b"old")

    def fails(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(NotWritable, match="No space left"):
        put_atomically(b"new", target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
