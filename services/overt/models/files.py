"""Exact files: hash, compare, put in place atomically."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from overt.models.errors import NotWritable, WrongBytes
from overt.models.sources import Bytes


def check_file(path: Path, expected: Bytes, what_to_do: str) -> None:
    """Raises WrongBytes, ending with `what_to_do`, when the file is not the expected one; OSError when unreadable."""
    size = path.stat().st_size
    if size != expected.size_bytes:
        raise WrongBytes(f"{path}: has {size} bytes, expected {expected.size_bytes}. {what_to_do}")
    with path.open("rb") as file:
        _compare(path, hashlib.file_digest(file, "sha256").hexdigest(), expected, what_to_do)


def read_checked(path: Path, expected: Bytes, what_to_do: str) -> bytes:
    """The file's bytes, hashed as they were read, so that nothing can change in between. Raises as `check_file`."""
    data = path.read_bytes()
    _compare(path, hashlib.sha256(data).hexdigest(), expected, what_to_do)
    return data


def is_file(path: Path, expected: Bytes) -> bool:
    """Whether the file exists and is the expected one."""
    try:
        check_file(path, expected, "")
    except (WrongBytes, OSError):
        return False
    return True


def put_atomically(data: bytes, target: Path) -> None:
    """Writes a file that is seen whole or not at all, also after a power cut. Raises NotWritable."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)  # mkstemp leaves it to its owner alone; a shared cache is for everybody to read
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise not_writable(target.parent, error) from error


def not_writable(folder: Path, error: OSError) -> NotWritable:
    """The error for a cache folder that cannot be written, with what to do."""
    reason = error.strerror or str(error)
    return NotWritable(f"{folder}: cannot be written ({reason}). Give a model cache folder that this user may write.")


def _compare(path: Path, found: str, expected: Bytes, what_to_do: str) -> None:
    if found != expected.sha256:
        raise WrongBytes(f"{path}: sha256 is {found}, expected {expected.sha256}. {what_to_do}")
