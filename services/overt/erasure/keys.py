"""Tries keys on sealed bytes without knowing what they belong to.

AES-GCM is counter mode with a tag (NIST SP 800-38D, 7.1). The tag needs the associated data, which a finder of raw
bytes does not have, and all of the ciphertext; the plaintext needs neither: whoever has the key and the nonce can
decrypt what there is and see whether it makes sense. So does this module. Where the nonce is lost, no key opens what is
left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB
from numpy.typing import NDArray

from overt.erasure.search import JPEG, PNG

_BLOCK = 16
_FIRST_COUNTER = (2).to_bytes(4, "big")  # counter 1 makes the tag
_JPEG, _PNG = np.frombuffer(b"\xff\xd8\xff", np.uint8), np.frombuffer(b"\x89PNG\r\n\x1a\n", np.uint8)
_LANDMARKS_BYTES = 4 * 10
_SHORTEST_VECTOR_BYTES = 4 * 16
LONGEST_VECTOR_BYTES = 4 * 4096
"""No model's vector is longer."""


@dataclass(frozen=True, slots=True)
class Ciphertext:
    """What AES-GCM made of a content. `body` may be cut at any place behind its beginning; `length` is the whole
    content's, in bytes."""

    nonce: bytes
    body: bytes
    length: int


def try_keys(ciphertexts: Sequence[Ciphertext], keys: Mapping[str, bytes]) -> dict[int, str]:
    """Tries each key (32 bytes, by name) on each ciphertext: the index of each that was opened, and a key's name.

    Opened means that what comes out is one of the things that Overt seals: a JPEG or PNG, a vector, landmarks. Noise is
    taken for one of them less than once in 10^11. What is left must have 16 bytes of a picture, 64 of a vector, all of
    the landmarks.
    """
    indices = [i for i, ciphertext in enumerate(ciphertexts) if len(ciphertext.body) >= _BLOCK]
    counters = b"".join(ciphertexts[i].nonce + _FIRST_COUNTER for i in indices)
    beginnings = np.frombuffer(b"".join(ciphertexts[i].body[:_BLOCK] for i in indices), np.uint8)
    opened: dict[int, str] = {}
    for name, key in keys.items() if indices else ():
        # One call for the first block of all of them; only what begins well is decrypted any further.
        stream = Cipher(AES(key), ECB()).encryptor().update(counters)  # noqa: S305  # counter mode, written out
        plain = (beginnings ^ np.frombuffer(stream, np.uint8)).reshape(-1, _BLOCK)
        for at in np.flatnonzero(_begin_well(plain)).tolist():
            if opens(ciphertexts[indices[at]], key):
                opened.setdefault(indices[at], name)
    return opened


def opens(ciphertext: Ciphertext, key: bytes) -> bool:
    """Whether the key (32 bytes) makes sense of the ciphertext; see `try_keys`."""
    decryptor = Cipher(AES(key), CTR(ciphertext.nonce + _FIRST_COUNTER)).decryptor()
    return _makes_sense(decryptor.update(ciphertext.body[:LONGEST_VECTOR_BYTES]), ciphertext.length)


def _makes_sense(plain: bytes, length: int) -> bool:
    if any(pattern.match(plain) for pattern in (JPEG, PNG)):
        return True
    if length == _LANDMARKS_BYTES == len(plain):  # pixels of an image
        return bool(_within(np.frombuffer(plain, "<f4"), 2.0**-4, 2.0**14).all())
    if length % 4 or length > LONGEST_VECTOR_BYTES or len(plain) < _SHORTEST_VECTOR_BYTES:
        return False
    return bool(_within(np.frombuffer(plain[: len(plain) // 4 * 4], "<f4"), 2.0**-40, 1.0).all())  # of a unit vector


def _begin_well(plain: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which rows, uint8 [N, 16], may begin something that makes sense: all that do, and 2 in 1,000 of noise."""
    jpeg = (plain[:, : len(_JPEG)] == _JPEG).all(axis=1)
    png = (plain[:, : len(_PNG)] == _PNG).all(axis=1)
    numbers = _within(plain.view("<f4"), 2.0**-40, 2.0**14).all(axis=1)
    well: NDArray[np.bool_] = jpeg | png | numbers
    return well


def _within(numbers: NDArray[np.float32], least: float, most: float) -> NDArray[np.bool_]:
    """Which numbers are 0 or of a size from `least` to `most`; NaN is not. Of random bits it is one in 256 for each
    power of 2 in between."""
    size = np.abs(numbers)
    within: NDArray[np.bool_] = (size == 0) | ((size >= least) & (size <= most))
    return within
