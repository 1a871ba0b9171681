"""A ZIP archive as a tree of files. Nothing is unpacked to a disk: a member is read when its image's turn has come.

Everything that an archive says of itself is checked before a member is read: names (APPNOTE 4.4.17: relative, `/`),
kinds, encryption, methods, ratios and sizes. What decompresses to more than it declared does not get that far, since
`zipfile` stops at the declared size and then misses the checksum. One hostile member condemns the archive: it was not
made by a tool that packs photographs.
"""

from __future__ import annotations

import lzma
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from overt.governance.files import Item, Unreadable, What

MOST_MEMBERS = 1_000_000
MOST_BYTES = 200_000_000_000
"""Of all members together, unpacked."""
MOST_RATIO = 200
"""Unpacked by packed. Photographs are packed already, and a manifest of the same word over and over reaches 100."""
_FREE_BYTES = 1_000_000
"""Up to this size a ratio proves nothing and does no harm: a white image packs well."""
_MOST_DIRECTORY_BYTES = 200_000_000
_MOST_PROBLEMS = 20
_OF_A_MAC = "__MACOSX/"
"""Where one maker's tool puts what is not the files themselves."""
_ARCHIVES = (".zip", ".jar", ".7z", ".rar", ".tar", ".tgz", ".gz", ".bz2", ".xz")


class ArchiveError(ValueError):
    """An archive that is not opened. `problems` says why, each with the member where it is about one."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class ZipFiles:
    """The files of a ZIP archive (see `overt.governance.files.Files`). Close it when done.

    Raises ArchiveError for what is no ZIP, and for one that is not to be trusted.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            _check_directory(root)
            self._zip = zipfile.ZipFile(root)
        except OSError as error:
            raise ArchiveError([f"{root}: cannot be read: {error.strerror}"]) from error
        except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError) as error:
            said = str(error) or type(error).__name__
            raise ArchiveError([f"{root}: is no whole ZIP archive ({said}); pack it again"]) from error
        problems = _problems(self._zip.infolist())
        if problems:
            self._zip.close()
            more = f"{root}: and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
            shown = [f"{root}: {problem}" for problem in problems[:_MOST_PROBLEMS]]
            raise ArchiveError([*shown, more] if more else shown)
        self._members = {
            _name(info): info
            for info in self._zip.infolist()
            if not info.is_dir() and not info.filename.startswith(_OF_A_MAC)
        }
        self._folders = _tree(self._members)

    def inside(self, folder: str) -> Sequence[Item] | None:
        """See `Files.inside`."""
        found = self._folders.get(folder)
        if found is None:
            return None
        return [Item(n, What.FILE if n in self._members else What.FOLDER) for n in sorted(found)]

    def what(self, name: str) -> What | None:
        """See `Files.what`."""
        if name in self._members:
            return What.FILE
        return What.FOLDER if name in self._folders else None

    def read(self, name: str, most: int) -> bytes:
        """See `Files.read`."""
        info = self._members.get(name)
        if info is None:
            raise Unreadable("the file cannot be read: the archive does not hold it")
        if info.file_size > most:
            raise Unreadable(f"the file is larger than {most // 1_000_000} MB")
        try:
            return self._zip.read(info)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError) as error:
            raise Unreadable(f"the archive is damaged here ({error}); pack it again") from error

    def close(self) -> None:
        """Closes the archive."""
        self._zip.close()


def _check_directory(path: Path) -> None:
    """Refuses an archive whose directory alone would fill the memory, before `zipfile` reads all of it.

    The end record is looked for as APPNOTE 4.3.16 says; where it points to a 64-bit one, that one's size counts.
    """
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - 65_557))
        tail = file.read(65_557)
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) < at + 22:
            raise ValueError("no end of central directory")
        (size,) = struct.unpack_from("<I", tail, at + 12)
        if size == 0xFFFFFFFF:
            size = _size_of_64(file, tail, at)
    if size > _MOST_DIRECTORY_BYTES:
        raise ValueError(f"its directory alone has {size // 1_000_000} MB")


def _size_of_64(file: BinaryIO, tail: bytes, at: int) -> int:
    locator = tail.rfind(b"PK\x06\x07", 0, at)
    if locator < 0:
        raise ValueError("no 64-bit end of central directory")
    (offset,) = struct.unpack_from("<Q", tail, locator + 8)
    file.seek(min(offset, 1 << 62))
    record = file.read(56)
    if record[:4] != b"PK\x06\x06" or len(record) < 56:
        raise ValueError("no 64-bit end of central directory")
    (size,) = struct.unpack_from("<Q", record, 40)
    return int(size)


def _name(info: zipfile.ZipInfo) -> str:
    return unicodedata.normalize("NFC", info.filename)


def _tree(names: dict[str, zipfile.ZipInfo]) -> dict[str, set[str]]:
    """What lies directly in each folder; folders that only members' names tell of are folders too."""
    folders: dict[str, set[str]] = {"": set()}
    for name in names:
        while name:
            parent = name.rpartition("/")[0]
            known = parent in folders
            folders.setdefault(parent, set()).add(name)
            if known:
                break
            name = parent
    return folders


def _problems(members: Sequence[zipfile.ZipInfo]) -> list[str]:
    """Why an archive is not opened."""
    if len(members) > MOST_MEMBERS:
        return [f"holds {len(members)} files, {MOST_MEMBERS} at most are read; split it"]
    total = sum(info.file_size for info in members)
    if total > MOST_BYTES:
        return [f"unpacks to {total / 1e9:.0f} GB, {MOST_BYTES / 1e9:.0f} at most are read; split it"]
    found = [f"{info.orig_filename!a}: {wrong}" for info in members for wrong in _wrong(info)]
    first: dict[str, str] = {}
    for info in members:
        same = _name(info).rstrip("/").casefold()
        if same in first:
            found.append(f"{info.orig_filename!a}: is there twice, or as {first[same]!a}; keep one of the two")
        first.setdefault(same, info.orig_filename)
    return found + list(_through_files(members))


def _through_files(members: Sequence[zipfile.ZipInfo]) -> Iterator[str]:
    """Names that use a file as a folder."""
    files = {_name(info) for info in members if not info.is_dir()}
    for info in members:
        parts = _name(info).rstrip("/").split("/")
        if any("/".join(parts[:depth]) in files for depth in range(1, len(parts))):
            yield f"{info.orig_filename!a}: lies inside another file; pack it again"


def _wrong(info: zipfile.ZipInfo) -> Iterator[str]:
    name = info.orig_filename
    mode = info.external_attr >> 16 if info.create_system == 3 else 0
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "a special file"
        yield f"is {kind}; pack the files themselves"
    if wrong := why_unsafe(name.removesuffix("/")):
        yield wrong
    if info.flag_bits & 0x41:
        yield "is encrypted; decrypt the archive first"
    elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        yield "is packed by another method than deflate; pack it again"
    if info.file_size > max(_FREE_BYTES, MOST_RATIO * info.compress_size):
        yield f"unpacks to {info.file_size // max(1, info.compress_size)} times its size, as a zip bomb does"
    if name.lower().endswith(_ARCHIVES):
        yield "is an archive inside the archive, which is not opened; unpack it first"


def why_unsafe(name: str) -> str | None:
    """Why a relative name is not followed; None for a plain one such as `wanted/s-1/a.jpg`."""
    parts = name.split("/")
    if "\\" in name:
        return "has a backslash in its name; folders are written with /"
    if name.startswith("/") or (len(parts[0]) == 2 and parts[0][1] == ":"):
        return "has an absolute path; write it relative"
    if ".." in parts:
        return "leads outside by ..; keep the files inside"
    if any(part in ("", ".") for part in parts):
        return "has an empty part in its path; write it as folder/file"
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        return "has a control character in its name; rename it"
    return None
