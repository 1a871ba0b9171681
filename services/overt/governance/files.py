"""Where reference images lie: a folder here, an archive in `overt.watchlist.archive`. Whoever filled it is not trusted.

Names are relative to the root, with `/` between folders. Symbolic links are seen and never followed: a link in a folder
that somebody handed over could show any file of this machine to the report's readers.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

_CHUNK = 1 << 24


class What(StrEnum):
    """What a name stands for."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "symbolic link"
    OTHER = "special file"


@dataclass(frozen=True, slots=True)
class Item:
    """Something in a folder."""

    name: str
    what: What

    @property
    def last(self) -> str:
        """Its name without the folders."""
        return self.name.rpartition("/")[2]


class Unreadable(ValueError):
    """A file that cannot be read. The text says why."""


class Files(Protocol):
    """A tree of files."""

    root: Path

    def inside(self, folder: str) -> Sequence[Item] | None:
        """What lies directly in a folder (the empty name: the root), sorted; None when there is no such folder."""
        ...

    def what(self, name: str) -> What | None:
        """What a name stands for, or the first link on the way to it; None when there is nothing."""
        ...

    def read(self, name: str, most: int) -> bytes:
        """A file's content. Raises Unreadable, also for a file of more than `most` bytes."""
        ...


class FolderFiles:
    """The files of a folder. `root` itself may be reached through a link: its owner wrote it down."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def inside(self, folder: str) -> Sequence[Item] | None:
        """See `Files.inside`. Raises Unreadable for a folder that may not be looked into."""
        path = self.root / folder
        if not path.is_dir():
            return None
        prefix = f"{folder}/" if folder else ""
        try:
            with os.scandir(path) as found:
                items = [Item(prefix + entry.name, _what(entry.stat(follow_symlinks=False))) for entry in found]
        except OSError as error:
            raise Unreadable(f"the folder cannot be read: {error.strerror}") from error
        return sorted(items, key=lambda item: item.name)

    def what(self, name: str) -> What | None:
        """See `Files.what`."""
        path, found = self.root, None
        for part in name.split("/"):
            path = path / part
            try:
                found = _what(path.lstat())
            except (OSError, ValueError):  # ValueError: a name with a zero byte
                return None
            if found is What.LINK:
                return found
        return found

    def read(self, name: str, most: int) -> bytes:
        """See `Files.read`."""
        return read_file(self.root / name, most)


def read_file(path: Path, most: int) -> bytes:
    """A plain file's content; neither follows a link nor waits for a pipe. Raises Unreadable."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(opened).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise Unreadable("the file cannot be read: it is no plain file")
            data = b""
            while chunk := os.read(opened, max(1, min(most + 1 - len(data), _CHUNK))):
                data += chunk
                if len(data) > most:
                    raise Unreadable(f"the file is larger than {most // 1_000_000} MB")
        finally:
            os.close(opened)
    except OSError as error:
        raise Unreadable(f"the file cannot be read: {error.strerror}") from error
    return data


def _what(status: os.stat_result) -> What:
    if stat.S_ISLNK(status.st_mode):
        return What.LINK
    if stat.S_ISDIR(status.st_mode):
        return What.FOLDER
    return What.FILE if stat.S_ISREG(status.st_mode) else What.OTHER
