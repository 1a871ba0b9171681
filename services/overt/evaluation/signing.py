"""The key that signs certificates: Ed25519 (RFC 8032), in the files that every tool reads (PEM, PKCS #8).

A key is named by the SHA-256 of its public half: `openssl pkey -pubin -in FILE -outform DER | sha256sum`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_MOST_BYTES = 16_384
FINGERPRINT = r"^sha256:[0-9a-f]{64}$"


class KeyFileError(ValueError):
    """A key's file cannot be made or used. The text names the file and what to do, never what it holds."""


def create_key(path: Path) -> Path:
    """Writes a new private key to `path`, mode 0600, and its public half to `path` + `.pub`, whose path is returned.

    Raises KeyFileError; a file that exists is never overwritten.
    """
    key = Ed25519PrivateKey.generate()
    public = path.with_name(path.name + ".pub")
    if public.exists():
        raise KeyFileError(f"{public} exists and is not overwritten; give another name")
    private_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write_new(path, private_pem, 0o600)
    _write_new(public, public_pem(key.public_key()), 0o644)
    return public


def load_key(path: Path) -> Ed25519PrivateKey:
    """The private key of a PEM file. Raises KeyFileError when it is missing, none, or readable by others."""
    data = _read(path)
    if mode := path.stat().st_mode & 0o077:
        raise KeyFileError(f"{path} is open to others (mode bits {mode:03o}): chmod 600 {path}")
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError):
        raise KeyFileError(f"{path}: expected a private key, as `overt evaluate certificate key FILE` writes") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: expected an Ed25519 key; make one with `overt evaluate certificate key FILE`")
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """The public key of a PEM file. Raises KeyFileError."""
    try:
        key = serialization.load_pem_public_key(_read(path))
    except ValueError:
        raise KeyFileError(
            f"{path}: expected a public key in PEM, such as the .pub file beside the private one"
        ) from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{path}: expected an Ed25519 public key")
    return key


def expected_signer(key: str) -> str:
    """The fingerprint that a deployment file asks for: it names one, or a public key's file. Raises KeyFileError."""
    return key if re.fullmatch(FINGERPRINT, key) else fingerprint(load_public_key(Path(key)))


def fingerprint(key: Ed25519PublicKey) -> str:
    """`sha256:` and the hash of the public key (DER, SubjectPublicKeyInfo)."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


def public_pem(key: Ed25519PublicKey) -> bytes:
    """The public key as PEM."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def verifies(key: Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether the signature is this key's, over these bytes."""
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise KeyFileError(f"{path} exists and is not overwritten; give another name") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be created: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except FileNotFoundError:
        raise KeyFileError(f"{path} is missing: make a key with `overt evaluate certificate key FILE`") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
