"""Portraits in the public domain, taken out of packages on the Python package index and checked byte for byte.

All six are works of the United States government (17 U.S.C. 105). Each package is downloaded as an archive; the one
image is taken out of it, and nothing of the package is installed, built or executed.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from overt.models.archive import read_member
from overt.models.errors import WrongBytes
from overt.models.fetch import download, pip_commands
from overt.models.files import is_file, not_writable, put_atomically
from overt.models.obtain import OnProgress, Progress, Step, no_progress
from overt.models.sources import Bytes, PypiSource

Xyxy = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Archive:
    """One file of the package index."""

    package: str
    version: str
    kind: Literal["wheel", "sdist"]
    pinned: Bytes
    tags: tuple[str, ...] = ()
    """What pip must be told to be given this wheel on every machine: it is only opened, so the smallest will do."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """One photograph of one person. `face_xyxy` is the box that CenterFace finds, in pixels."""

    name: str
    person: str
    archive: Archive
    member: str
    pinned: Bytes
    face_xyxy: Xyxy
    credit: str

    @property
    def file_name(self) -> str:
        """What the file is called in the cache."""
        return f"{self.name}{Path(self.member).suffix}"


_FACE_RECOGNITION = Archive(
    package="face_recognition",
    version="1.3.0",
    kind="sdist",
    pinned=Bytes(sha256="5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec", size_bytes=3182249),
)
_MATPLOTLIB = Archive(
    package="matplotlib",
    version="3.5.0",
    kind="wheel",
    pinned=Bytes(sha256="b3b687e905da32e5f2e5f16efa713f5d1fcd9fb8b8c697895de35c91fedeb086", size_bytes=7054932),
    tags=("--platform", "win32", "--python-version", "3.9", "--implementation", "cp", "--abi", "cp39"),
)
_SCIKIT_IMAGE = Archive(
    package="scikit-image",
    version="0.18.0",
    kind="wheel",
    pinned=Bytes(sha256="5aa60aebcea6f35880296f635fa3fa20b93c81f3e5b4c36b6bac64da9a8b24c6", size_bytes=11192870),
    tags=("--platform", "win32", "--python-version", "3.7", "--implementation", "cp", "--abi", "cp37m"),
)
_IMAGES = "face_recognition-1.3.0/tests/test_images"

PORTRAITS: tuple[Portrait, ...] = (
    Portrait(
        name="obama",
        person="Barack Obama",
        archive=_FACE_RECOGNITION,
        member=f"{_IMAGES}/obama.jpg",
        pinned=Bytes(sha256="0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6", size_bytes=279922),
        face_xyxy=(371.8, 111.7, 600.2, 420.5),
        credit="White House portrait, 2012",
    ),
    Portrait(
        name="obama2",
        person="Barack Obama",
        archive=_FACE_RECOGNITION,
        member=f"{_IMAGES}/obama2.jpg",
        pinned=Bytes(sha256="a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6", size_bytes=184455),
        face_xyxy=(194.0, 216.1, 473.7, 659.6),
        credit="White House photograph of a speech",
    ),
    Portrait(
        name="obama3",
        person="Barack Obama",
        archive=_FACE_RECOGNITION,
        member=f"{_IMAGES}/obama3.jpg",
        pinned=Bytes(sha256="76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3", size_bytes=595944),
        face_xyxy=(652.7, 272.0, 903.2, 596.1),
        credit="White House photograph in the Blue Room",
    ),
    Portrait(
        name="biden",
        person="Joe Biden",
        archive=_FACE_RECOGNITION,
        member=f"{_IMAGES}/biden.jpg",
        pinned=Bytes(sha256="3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c", size_bytes=353723),
        face_xyxy=(429.9, 192.1, 702.0, 547.8),
        credit="White House photograph in the Blue Room",
    ),
    Portrait(
        name="hopper",
        person="Grace Hopper",
        archive=_MATPLOTLIB,
        member="matplotlib/mpl-data/sample_data/grace_hopper.jpg",
        pinned=Bytes(sha256="a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130", size_bytes=61306),
        face_xyxy=(174.8, 131.5, 357.0, 336.3),
        credit="United States Navy portrait, 1984",
    ),
    Portrait(
        name="collins",
        person="Eileen Collins",
        archive=_SCIKIT_IMAGE,
        member="skimage/data/astronaut.png",
        pinned=Bytes(sha256="88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5", size_bytes=791555),
        face_xyxy=(181.5, 58.2, 269.9, 177.8),
        credit="NASA portrait",
    ),
)


def obtain(
    cache: Path, progress: OnProgress = no_progress, portraits: Sequence[Portrait] = PORTRAITS
) -> dict[str, Path]:
    """Every portrait's file by its name, in the folder `cache`; only what is missing or wrong there is downloaded.

    Blocks for as long as the downloads take (21 MB in all on the first run). Raises NotObtained, WrongBytes and
    NotWritable of `overt.models.errors`.
    """
    files = {portrait.name: cache / portrait.file_name for portrait in portraits}
    wanted = [portrait for portrait in portraits if not is_file(files[portrait.name], portrait.pinned)]
    for archive in dict.fromkeys(portrait.archive for portrait in wanted):
        _obtain_from(archive, [portrait for portrait in wanted if portrait.archive == archive], cache, progress)
    return files


def _obtain_from(archive: Archive, portraits: Sequence[Portrait], cache: Path, progress: OnProgress) -> None:
    total = archive.pinned.size_bytes

    def seen(count: int) -> None:
        progress(Progress(archive.package, Step.DOWNLOAD, min(count, total), total))

    seen(0)
    with _work_folder(cache) as work:
        file = download(_source(archive, portraits[0]), Path(work), seen, _pip(archive))
        seen(total)
        for portrait in portraits:
            data = read_member(file, portrait.member, portrait.pinned.size_bytes)
            if hashlib.sha256(data).hexdigest() != portrait.pinned.sha256:
                raise WrongBytes(
                    f"{archive.package} {archive.version}: {portrait.member} is not the photograph with sha256 "
                    f"{portrait.pinned.sha256}. Do not use it; ask whoever runs the index or mirror."
                )
            put_atomically(data, cache / portrait.file_name)
    progress(Progress(archive.package, Step.READY, total, total))


def _source(archive: Archive, portrait: Portrait) -> PypiSource:
    return PypiSource(
        kind="pypi",
        package=archive.package,
        version=archive.version,
        archive=archive.kind,
        archive_bytes=archive.pinned,
        member=portrait.member,
        member_bytes=portrait.pinned,
    )


def _pip(archive: Archive) -> list[str] | None:
    """pip with the archive's tags behind its other arguments, or None where there are none to be added."""
    command = next(iter(pip_commands()), None)
    if not archive.tags or command is None:
        return None
    with_tags = f"import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:] + {list(archive.tags)!r}))"
    return [sys.executable, "-c", with_tags, *command]


def _work_folder(cache: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=cache, prefix=".portraits-", ignore_cleanup_errors=True)
    except OSError as error:
        raise not_writable(cache, error) from error
