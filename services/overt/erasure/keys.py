"""Tries keys on sealed payloads without knowing what they belong to.

AES-GCM is counter mode with a tag. The tag needs the associated data, which a finder of raw bytes does not have, but
the plaintext does not: whoever has the key can decrypt and see whether it makes sense. So does this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from overt.erasure.search import SIGNATURES, SealedBytes

_HEADER_BYTES = 33
_NONCE_BYTES = 12
_TAG_BYTES = 16
_FIRST_BLOCK = (2).to_bytes(4, "big")  # counter 1 makes the tag (NIST SP 800-38D, 7.1)
_LONGEST_VECTOR = 4 * 4096
_STARTS = tuple(SIGNATURES.values())


@dataclass(slots=True)
class Trial:
    """What keys could do with payloads: how many were tried, and which were opened by which key."""

    payloads: int = 0
    keys: int = 0
    opened: list[tuple[SealedBytes, str]] = field(default_factory=list)


def try_keys(payloads: Sequence[SealedBytes], keys: Mapping[str, bytes], known: Sequence[bytes] = ()) -> Trial:
    """Tries each of `keys` (32 bytes, by name) on each payload. A payload counts as opened when a key makes it begin
    like a picture or like one of the `known` contents, or makes a unit vector of it."""
    trial = Trial(len(payloads), len(keys))
    starts = (*_STARTS, *(content[:16] for content in known))
    for payload in payloads:
        name = next((name for name, key in keys.items() if opens(payload.data, key, starts)), None)
        if name is not None:
            trial.opened.append((payload, name))
    return trial


def opens(sealed: bytes, key: bytes, starts: Sequence[bytes]) -> bool:
    """Whether the key makes sense of the payload."""
    nonce = sealed[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES]
    body = sealed[_HEADER_BYTES + _NONCE_BYTES : -_TAG_BYTES]
    if len(nonce) < _NONCE_BYTES or not body:
        return False
    decryptor = Cipher(AES(key), CTR(nonce + _FIRST_BLOCK)).decryptor()
    vector_sized = len(body) % 4 == 0 and len(body) <= _LONGEST_VECTOR
    plain = decryptor.update(body if vector_sized else body[:32])
    return plain.startswith(tuple(starts)) or (vector_sized and _is_unit_vector(plain))


def _is_unit_vector(plain: bytes) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        norm = float(np.linalg.norm(np.frombuffer(plain, "<f4").astype(np.float64)))
    return len(plain) >= 4 * 16 and abs(norm - 1) < 1e-3
