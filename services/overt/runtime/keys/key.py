"""One AES-256-GCM key (NIST SP 800-38D) that shows neither itself nor what it sealed."""

from __future__ import annotations

import os
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from overt.ports import NotAuthentic

SECRET_BYTES = 32
KEY_ID_BYTES = 16
NONCE_BYTES = 12
OVERHEAD_BYTES = NONCE_BYTES + 16
"""What sealing adds: the nonce before the ciphertext, the tag behind it."""


class SealingKey:
    """A key and its id. Two keys are never equal by value; it has no pickle and its `repr` holds the id only.

    A nonce is 96 random bits, so one key must not seal more than 2^32 times (SP 800-38D, 8.3); an hour of alerts or
    10 s of a site stay far below.
    """

    __slots__ = ("_cipher", "_secret", "key_id")

    def __init__(self, key_id: bytes, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"a key has {SECRET_BYTES} bytes, this one {len(secret)}")
        self.key_id = key_id
        self._secret = secret
        self._cipher = AESGCM(secret)

    @classmethod
    def random(cls, id_prefix: bytes = b"") -> SealingKey:
        """A new key, random and derived from nothing: once it is destroyed nobody can make it again. Its id begins with
        `id_prefix`."""
        return cls(id_prefix + os.urandom(KEY_ID_BYTES - len(id_prefix)), os.urandom(SECRET_BYTES))

    def seal(self, plain: bytes, associated: bytes) -> bytes:
        """Nonce, ciphertext, tag: `OVERHEAD_BYTES` more than `plain`."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, associated)

    def open(self, sealed: bytes, associated: bytes) -> bytes:
        """Raises NotAuthentic when a bit of either differs from what was sealed."""
        if len(sealed) < OVERHEAD_BYTES:
            raise NotAuthentic(f"a sealed payload has at least {OVERHEAD_BYTES} bytes, this one {len(sealed)}")
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated)
        except InvalidTag:
            raise NotAuthentic("a sealed payload was changed, or belongs elsewhere than where it was found") from None

    def reveal(self) -> bytes:
        """The 32 bytes, for whoever has to wrap or hand on the key, or to prove that it opens nothing."""
        return self._secret

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.key_id.hex()})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled")
