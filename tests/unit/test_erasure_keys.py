"""Keys tried on sealed payloads whose associated data nobody knows: the right key opens, no other does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.erasure.keys import Ciphertext, opens, try_keys
from overt.erasure.search import Findings, Searcher
from overt.picture import encode
from overt.ports import Custody
from overt.runtime.erasure import Payload, kept_bytes, payload_of
from overt.runtime.keys.deployment_key import create_deployment_key, load_deployment_key
from overt.runtime.keys.keyring import Keyring
from overt.runtime.keys.transient import MemoryTransientKeys
from overt.runtime.vault import MAGIC, SealingVault
from tests.support.messages import pixels, unit

NOISE = np.random.default_rng(11)
KEYS = st.binary(min_size=32, max_size=32)
LANDMARKS = np.array([412.5, 96.1, 433.0, 95.7, 420.2, 108.8, 414.4, 119.0, 431.9, 118.6], np.float32)
CONTENTS = {
    "jpeg": encode(pixels(), "jpeg"),
    "png": encode(pixels(), "png"),
    "vector of 64": unit(1, 64).tobytes(),
    "vector of 128": unit(2, 128).tobytes(),
    "vector of 512": unit(3, 512).tobytes(),
    "one-hot vector": np.eye(1, 128, 5, dtype=np.float32).tobytes(),
    "landmarks": LANDMARKS.tobytes(),
    "landmarks at an edge": (LANDMARKS - 415).tobytes(),
}
EVERY = st.sampled_from(sorted(CONTENTS))


def enciphered(plain: bytes, key: bytes, associated: bytes = b"") -> Ciphertext:
    nonce = NOISE.bytes(12)
    return Ciphertext(nonce, AESGCM(key).encrypt(nonce, plain, associated)[:-16], len(plain))


@given(plain=st.binary(min_size=1, max_size=300), key=KEYS, associated=st.binary(max_size=40))
def test_counter_mode_from_2_on_undoes_gcm_without_its_associated_data(
    plain: bytes, key: bytes, associated: bytes
) -> None:
    """NIST SP 800-38D, 7.1: it is what `opens` rests on."""
    ciphertext = enciphered(plain, key, associated)
    counter = ciphertext.nonce + (2).to_bytes(4, "big")
    assert Cipher(AES(key), CTR(counter)).decryptor().update(ciphertext.body) == plain


@settings(max_examples=50, deadline=None)
@given(names=st.lists(EVERY, min_size=1, max_size=8), own=KEYS, others=st.lists(KEYS, max_size=30, unique=True))
def test_each_content_is_opened_by_its_own_key_and_by_no_other(
    names: list[str], own: bytes, others: list[bytes]
) -> None:
    ciphertexts = [enciphered(CONTENTS[name], own, b"unknown") for name in names]
    keys = {str(number): key for number, key in enumerate(others) if key != own}
    assert try_keys(ciphertexts, keys) == {}
    assert try_keys(ciphertexts, {**keys, "own": own}) == dict.fromkeys(range(len(names)), "own")


def test_noise_is_taken_for_nothing() -> None:
    lengths = [40, 64, 512, 1024, 100, 60_000]
    ciphertexts = [
        Ciphertext(NOISE.bytes(12), NOISE.bytes(min(length, 1024)), length) for length in lengths for _ in range(2_000)
    ]
    assert try_keys(ciphertexts, {str(number): NOISE.bytes(32) for number in range(100)}) == {}


@pytest.mark.parametrize(("name", "least"), [("jpeg", 16), ("png", 16), ("vector of 128", 64), ("landmarks", 40)])
def test_what_is_left_of_a_cut_payload_is_opened(name: str, least: int) -> None:
    key, plain = NOISE.bytes(32), CONTENTS[name]
    whole = enciphered(plain, key)
    for left in range(least, len(plain)):
        cut = Ciphertext(whole.nonce, whole.body[:left], whole.length)
        assert try_keys([cut], {"k": key}) == {0: "k"}, left


def test_too_little_is_left_to_be_tried() -> None:
    key = NOISE.bytes(32)
    cut = [Ciphertext(c.nonce, c.body[:15], c.length) for c in [enciphered(p, key) for p in CONTENTS.values()]]
    assert try_keys([*cut, Ciphertext(b"", b"", 0)], {"k": key}) == {}


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        np.full(128, np.nan, np.float32).tobytes(),
        np.full(128, 1e-30, np.float32).tobytes(),
        np.full(128, 7.0, np.float32).tobytes(),
        unit(1, 8).tobytes(),
        unit(1, 128).tobytes()[:-1],
        unit(1, 8192).tobytes(),
        (LANDMARKS * 1000).tobytes(),
        b"a text that is neither a picture nor numbers that make sense, of 64+",
    ],
)
def test_what_overt_never_seals_does_not_count_as_opened(plain: bytes) -> None:
    key = NOISE.bytes(32)
    assert not opens(enciphered(plain, key), key)


def test_no_keys_or_no_payloads_open_nothing() -> None:
    assert try_keys([], {"k": bytes(32)}) == {}
    assert try_keys([enciphered(CONTENTS["jpeg"], bytes(32))], {}) == {}


@pytest.mark.parametrize("custody", list(Custody))
@pytest.mark.parametrize("name", sorted(CONTENTS))
def test_what_a_vault_seals_is_found_and_opened_by_its_key_only(tmp_path: Path, custody: Custody, name: str) -> None:
    create_deployment_key(tmp_path / "secret")
    keyring = Keyring(tmp_path / "keyring", load_deployment_key(tmp_path / "secret"), "d1")
    keyring.create_file()
    keyring.create_entry_keys(["e1", "e2"])
    transient = MemoryTransientKeys()
    vault = SealingVault("d1", transient, keyring)
    sealed = vault.seal(CONTENTS[name], custody=custody, owner="e1", context=b"Frame\x1fimage\x1fgate\x1f1\x1f7")
    payload = found(NOISE.bytes(500) + sealed + NOISE.bytes(500))
    keys = {k.owner: k.key.reveal() for k in keyring.every_key()} | {"now": transient.current().key.reveal()}
    alert = next((owner for owner in keys if owner.startswith("alert:")), "")
    own = {Custody.TRANSIENT: "now", Custody.ENTRY: "entry:e1", Custody.ALERT: alert}[custody]
    assert payload.custody is custody
    assert try_keys([payload.ciphertext], keys) == {0: own}
    assert try_keys([payload.ciphertext], {k: v for k, v in keys.items() if k != own}) == {}


def found(data: bytes) -> Payload:
    findings = Findings()
    Searcher({}, MAGIC, kept_bytes).look("here", data, findings)
    (payload,) = [p for f in findings.sealed if (p := payload_of(f)) is not None]
    return payload
