"""The keyring's file: a way of rewriting it that loses nothing and leaves little behind.

Writers take a lock; readers take none, since the file is only ever replaced as a whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from overt.runtime.keys.deployment_key import DeploymentKey
from overt.runtime.keys.keyring_format import (
    Contents,
    KeyringError,
    KeyringMissing,
    KeyringNotWritten,
    parsed,
    serialised,
)

_log = logging.getLogger(__name__)

_LOCK_TIMEOUT_S = 5.0
_READ_ATTEMPTS = 20
_MTIME_STEP_NS = 1_000_000

Version = tuple[int, int, int]
"""Inode, modification time in ns, size: differs whenever the file was rewritten."""


class KeyringFile:
    """Reading, locking and replacing one keyring file. Nothing is touched before the first call."""

    def __init__(self, path: Path, deployment_key: DeploymentKey, deployment_id: str) -> None:
        self.path = path
        self._deployment_key = deployment_key
        self._deployment_id = deployment_id

    def version(self) -> Version:
        """What `read` would find, for the price of one `stat`. Raises KeyringError."""
        try:
            status = os.stat(self.path)
        except OSError as error:
            raise self._unreadable(error) from error
        return (status.st_ino, status.st_mtime_ns, status.st_size)

    def read(self) -> tuple[Contents, Version]:
        """Raises KeyringMissing, KeyringCorrupt, WrongDeployment, WrongDeploymentKey, KeyringError."""
        for _ in range(_READ_ATTEMPTS):
            try:
                with self.path.open("rb") as file:
                    status = os.fstat(file.fileno())
                    version = (status.st_ino, status.st_mtime_ns, status.st_size)
                    data = file.read()
                    # A writer overwrites what it has replaced, maybe under our eyes: then the name leads elsewhere now.
                    if self.version()[0] == status.st_ino:
                        return parsed(data, self._deployment_key, self._deployment_id, self.path), version
            except OSError as error:
                raise self._unreadable(error) from error
        raise KeyringError(f"keyring {self.path} is being rewritten all the time; it could not be read")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Only one writer at a time, over all processes. Raises KeyringNotWritten, also after waiting for 5 s."""
        lock = self._beside(".lock")
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unwritten(error) from error
        try:
            deadline_s = time.monotonic() + _LOCK_TIMEOUT_S
            while not _flock(handle):
                if time.monotonic() > deadline_s:
                    raise KeyringNotWritten(f"keyring {self.path}: another process holds {lock} and does not let go")
                time.sleep(0.005)
            yield
        finally:
            os.close(handle)

    def write(self, contents: Contents) -> None:
        """Replaces the file; only within `locked`. Raises KeyringNotWritten, and then the file is as it was.

        1. remove what a crashed writer left, 2. write and sync the new file beside the old one, 3. give the old one a
        second name, 4. replace, 5. sync the folder, 6. overwrite the old content and drop its name.
        """
        old, new = self._beside(".old"), self._beside(".new")
        try:
            self._clear(old, new)  # 1
            self._write_new(new, serialised(contents, self._deployment_key, self._deployment_id))  # 2
            with contextlib.suppress(OSError):  # no file yet, or a file system without hard links
                os.link(self.path, old)  # 3
            os.replace(new, self.path)  # 4
        except OSError as error:
            with contextlib.suppress(OSError):
                self._clear(old, new)
            raise self._unwritten(error) from error
        _sync_folder(self.path.parent)  # 5
        try:
            self._clear(old)  # 6
        except OSError as error:  # it is tried again at the next write
            _log.warning("keyring: the old content in %s could not be overwritten: %s", old, error.strerror)

    def _write_new(self, new: Path, data: bytes) -> None:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            # Later than the old one's, whatever the clock says: readers recognise a rewritten file by it.
            with contextlib.suppress(FileNotFoundError):
                now_ns = max(time.time_ns(), os.stat(self.path).st_mtime_ns + _MTIME_STEP_NS)
                os.utime(file.fileno(), ns=(now_ns, now_ns))
            os.fsync(file.fileno())

    def _clear(self, *leftovers: Path) -> None:
        for leftover in leftovers:
            if leftover.exists():
                # A crash between steps 3 and 4 leaves a second name of the file itself.
                if not (self.path.exists() and leftover.samefile(self.path)):
                    _overwrite(leftover)
                leftover.unlink()

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def _unreadable(self, error: OSError) -> KeyringError:
        if isinstance(error, FileNotFoundError):
            return KeyringMissing(f"keyring {self.path} is missing: make one, or mount the folder that holds it")
        return KeyringError(f"keyring {self.path} cannot be read: {error.strerror}")

    def _unwritten(self, error: OSError) -> KeyringNotWritten:
        return KeyringNotWritten(
            f"keyring {self.path} cannot be written: {error.strerror}; it is as it was. "
            f"Make room in {self.path.parent} or let this user write there"
        )


def _flock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _overwrite(path: Path) -> None:
    """Zeros over a file's blocks, where the file system writes in place."""
    with path.open("r+b") as file:
        file.write(bytes(os.fstat(file.fileno()).st_size))
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
