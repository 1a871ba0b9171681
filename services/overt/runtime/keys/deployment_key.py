"""The deployment key: 32 random bytes in a secret file. It wraps the keyring and nothing else.

Whoever holds this file and the keyring can open watchlist entries and alert images. Keep the two apart in backups: a
backup of both brings back every key that the keyring destroyed since.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
from pathlib import Path

from overt.runtime.keys.key import SECRET_BYTES, SealingKey
from overt.runtime.secret_files import SecretFileError, read_file

_COMMENT = "# Overt deployment key: a secret. Keep it readable by its owner only, and apart from the keyring.\n"
_OPEN_TO_OTHERS = 0o077


class DeploymentKeyError(ValueError):
    """The secret file cannot be used or made. The text names the file and what to do, never what it holds."""


class DeploymentKey(SealingKey):
    """What `load_deployment_key` gives; only a keyring takes it."""

    __slots__ = ()


def create_deployment_key(path: Path) -> None:
    """Writes a new key to `path`, mode 0600. Raises DeploymentKeyError; a file that exists is never overwritten."""
    text = _COMMENT + base64.b64encode(os.urandom(SECRET_BYTES)).decode() + "\n"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise DeploymentKeyError(
            f"{path} exists and is not overwritten: a keyring wrapped by the key in it could never be opened again"
        ) from None
    except OSError as error:
        raise DeploymentKeyError(f"{path} cannot be created: {error.strerror}") from error
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise DeploymentKeyError(f"{path} cannot be written: {error.strerror}") from error


def load_deployment_key(path: Path) -> DeploymentKey:
    """Reads the key: one line of base64 or hexadecimal, beside comments (#) and empty lines.

    Raises DeploymentKeyError when it is missing, no key, or readable by others than its owner.
    """
    return DeploymentKey(b"deployment", _secret_in(_text_of(path), path))


def _text_of(path: Path) -> str:
    try:
        return read_file(path, f"the key that `overt keys create {path}` makes", closed_to=_OPEN_TO_OTHERS)
    except SecretFileError as error:
        raise DeploymentKeyError(str(error)) from None


def _secret_in(text: str, path: Path) -> bytes:
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    expected = f"{path}: expected one line with {SECRET_BYTES} bytes as base64 or hexadecimal"
    if len(lines) != 1:
        raise DeploymentKeyError(f"{expected}, found {len(lines)} lines")
    try:
        is_hex = len(lines[0]) == 2 * SECRET_BYTES
        secret = bytes.fromhex(lines[0]) if is_hex else base64.b64decode(lines[0], validate=True)
    except (ValueError, binascii.Error):
        raise DeploymentKeyError(f"{expected}, found something else") from None  # its text would quote the line
    if len(secret) != SECRET_BYTES:
        raise DeploymentKeyError(f"{expected}, found {len(secret)} bytes")
    return secret
