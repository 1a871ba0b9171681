"""Secrets and certificates that come as files. What is wrong with a file is said; what it holds never is."""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path

_MOST_BYTES = 65_536
_OPEN_TO_OTHERS = 0o037
"""Its group may read it, since that is how orchestrators hand a secret to a process that is not root."""


class SecretFileError(ValueError):
    """A file cannot be used as what it should be. The text names the file and what to do."""


def read_password(path: Path) -> str:
    """The one line of a file, which others than its owner and their group cannot read. Raises SecretFileError."""
    text = read_file(path, "one line with the password", closed_to=_OPEN_TO_OTHERS)
    lines = text.splitlines()
    if not text.strip():
        raise SecretFileError(f"{path} is empty: expected one line with the password")
    if len(lines) != 1:
        raise SecretFileError(f"{path} has {len(lines)} lines: expected one, with the password")
    return lines[0]


def check_certificates(path: Path) -> Path:
    """The path of a file of PEM certificates, which only its owner and group may change: whoever could, could make a
    server of their own look trusted. Raises SecretFileError."""
    expected = "one or more certificates in PEM (-----BEGIN CERTIFICATE-----)"
    text = read_file(path, expected)
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise SecretFileError(f"{path} holds no certificate: expected {expected}")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except ssl.SSLError:
        raise SecretFileError(f"{path} holds a certificate that cannot be read: expected {expected}") from None
    return path


def check_key(path: Path, certificate: Path, password: str | None) -> Path:
    """The path of a file with the private key of a certificate, which others than its owner and their group cannot
    read. Raises SecretFileError: also for a key that its password does not open, or of another certificate."""
    expected = "a private key in PEM (-----BEGIN PRIVATE KEY-----)"
    text = read_file(path, expected, closed_to=_OPEN_TO_OTHERS)
    if "PRIVATE KEY-----" not in text:
        raise SecretFileError(f"{path} holds no key: expected {expected}")
    if "ENCRYPTED" in text and password is None:
        raise SecretFileError(f"{path} is encrypted: name a file with its password")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, path, password or "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise SecretFileError(f"{path} is not the key of the certificate {certificate}") from None
        raise SecretFileError(f"{path} cannot be opened: is its password the right one?") from None
    return path


def read_file(path: Path, expected: str, *, closed_to: int = 0) -> str:
    """The text of a small file that should hold what `expected` says. `closed_to`: the bits that its mode may not have;
    to be changed by everybody it never may. Raises SecretFileError."""
    try:
        # Not blocking: a named pipe in the file's place would else hang the start.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise SecretFileError(f"{path} is missing: expected a file with {expected}") from None
    except OSError as error:
        raise SecretFileError(f"{path} cannot be read: {error.strerror}") from None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise SecretFileError(f"{path} is no file: expected one with {expected}")
        mode = stat.S_IMODE(status.st_mode)
        if mode & closed_to:
            raise SecretFileError(f"{path} is open to others (mode {mode:04o}): chmod 600 {path}")
        if mode & stat.S_IWOTH:
            raise SecretFileError(f"{path} can be changed by everybody (mode {mode:04o}): chmod o-w {path}")
        if status.st_size > _MOST_BYTES:
            raise SecretFileError(f"{path} has {status.st_size} bytes: expected {expected}")
        return os.read(handle, _MOST_BYTES).decode("utf-8", "replace")
    finally:
        os.close(handle)
