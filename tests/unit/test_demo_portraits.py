"""Obtaining the demo's portraits, with packages made here and a real pip; no network."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from overt.demo.portraits import PORTRAITS, Archive, Portrait, obtain
from overt.models.errors import NotObtained, NotWritable, WrongBytes
from overt.models.obtain import Progress
from overt.models.sources import Bytes

FIRST, SECOND, THIRD = b"first photograph" * 30, b"second" * 50, b"third" * 70


def pinned(data: bytes) -> Bytes:
    return Bytes(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def portrait(name: str, archive: Archive, member: str, data: bytes) -> Portrait:
    return Portrait(name, "Somebody", archive, member, pinned(data), (1, 1, 20, 20), "made here")


@pytest.fixture
def portraits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sequence[Portrait]:
    """Two photographs in a source archive whose setup.py leaves a mark, one in a wheel for another system."""
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    sdist, wheel = index / "tiny_faces-1.0.tar.gz", index / "tiny_plots-2.0-cp39-cp39-win32.whl"
    setup = f"open({str(tmp_path / 'executed')!r}, 'w').close()\nimport setuptools\nsetuptools.setup()\n"
    with tarfile.open(sdist, "w:gz") as archive:
        info = b"Metadata-Version: 1.0\nName: tiny-faces\nVersion: 1.0\n"
        for name, data in {"setup.py": setup.encode(), "PKG-INFO": info, "a.jpg": FIRST, "b.jpg": SECOND}.items():
            entry = tarfile.TarInfo(f"tiny_faces-1.0/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("tiny_plots/c.png", THIRD)
        file.writestr("tiny_plots-2.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-plots\nVersion: 2.0\n")
        file.writestr("tiny_plots-2.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: cp39-cp39-win32\n")
        file.writestr("tiny_plots-2.0.dist-info/RECORD", "")
    tags = ("--platform", "win32", "--python-version", "3.9", "--implementation", "cp", "--abi", "cp39")
    faces = Archive("tiny-faces", "1.0", "sdist", pinned(sdist.read_bytes()))
    plots = Archive("tiny-plots", "2.0", "wheel", pinned(wheel.read_bytes()), tags)
    return (
        portrait("one", faces, "tiny_faces-1.0/a.jpg", FIRST),
        portrait("two", faces, "tiny_faces-1.0/b.jpg", SECOND),
        portrait("three", plots, "tiny_plots/c.png", THIRD),
    )


def test_only_the_photographs_reach_the_cache_and_nothing_of_a_package_is_executed(
    portraits: Sequence[Portrait], tmp_path: Path
) -> None:
    seen: list[Progress] = []
    files = obtain(tmp_path / "cache", seen.append, portraits)
    assert {name: path.read_bytes() for name, path in files.items()} == {"one": FIRST, "two": SECOND, "three": THIRD}
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["one.jpg", "three.png", "two.jpg"]
    assert not (tmp_path / "executed").exists()
    assert [step.name for step in seen if step.step == "ready"] == ["tiny-faces", "tiny-plots"], "one download each"


def test_what_is_there_is_not_obtained_again_and_what_was_changed_is(
    portraits: Sequence[Portrait], tmp_path: Path
) -> None:
    files = obtain(tmp_path / "cache", portraits=portraits)
    files["three"].write_bytes(b"something else")
    seen: list[Progress] = []
    assert obtain(tmp_path / "cache", seen.append, portraits)["three"].read_bytes() == THIRD
    assert {step.name for step in seen} == {"tiny-plots"}


def test_a_member_that_is_not_the_pinned_photograph_is_refused(portraits: Sequence[Portrait], tmp_path: Path) -> None:
    other = replace(portraits[0], pinned=Bytes(sha256="0" * 64, size_bytes=len(FIRST)))
    with pytest.raises(WrongBytes, match=r"a\.jpg"):
        obtain(tmp_path / "cache", portraits=[other])
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_missing_member_and_a_missing_package_are_said_by_name(portraits: Sequence[Portrait], tmp_path: Path) -> None:
    with pytest.raises(WrongBytes, match=r"none\.jpg"):
        obtain(tmp_path / "cache", portraits=[replace(portraits[0], member="none.jpg")])
    absent = replace(portraits[0].archive, package="no-such-package")
    with pytest.raises(NotObtained, match="no-such-package"):
        obtain(tmp_path / "cache", portraits=[replace(portraits[0], archive=absent)])


def test_a_cache_that_cannot_be_made_is_said(portraits: Sequence[Portrait], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotWritable, match="file"):
        obtain(tmp_path / "file" / "cache", portraits=portraits)


def test_portraits_have_names_of_their_own_and_one_person_has_several() -> None:
    assert len({p.name for p in PORTRAITS}) == len({p.file_name for p in PORTRAITS}) == len(PORTRAITS)
    assert sum(p.person == "Barack Obama" for p in PORTRAITS) >= 2
