"""The vault: seals what is biometric, so that what a disk holds cannot be read later.

A sealed payload, all numbers big-endian:

    offset  bytes
         0      4  magic "OVT" and the version of this layout, 1
         4      1  custody: "t" transient, "a" alert, "e" entry
         5     16  id of the key, random
        21      8  slot of a transient key (where to look for it), else 0
        29      4  how many bytes follow
        33     12  nonce, random
        45      n  ciphertext, as long as what was sealed
      45+n     16  tag of AES-256-GCM (NIST SP 800-38D)

Associated data: the first 33 bytes, the deployment (its length in two bytes, then UTF-8), and the caller's context
(record, field, camera, cause). A payload that was moved anywhere else, or changed in any bit, therefore does not open.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from overt.messages import Kind
from overt.ports import Clock, Custody, KeyGone, NotAuthentic
from overt.runtime.keys.key import OVERHEAD_BYTES, SealingKey
from overt.runtime.keys.keyring import ALERT, Keyring, entry_owner
from overt.runtime.keys.transient import TransientKeys

MAGIC = b"OVT\x01"
"""How every sealed payload begins: for whoever searches a disk for them."""

_HEADER = struct.Struct(">4ss16sQI")
_LETTERS = {Custody.TRANSIENT: b"t", Custody.ALERT: b"a", Custody.ENTRY: b"e"}
_CUSTODIES = {letter: custody for custody, letter in _LETTERS.items()}
HEADER_BYTES = _HEADER.size
_HOUR_US = 3_600_000_000
DAY_US = 24 * _HOUR_US


class NoKeyring(RuntimeError):
    """A process that was given no keyring met a payload under a durable key: its wiring or its settings are wrong."""


@dataclass(frozen=True, slots=True)
class SealedHeader:
    """What a sealed payload says of itself in the clear."""

    custody: Custody
    key_id: bytes
    slot: int
    length: int
    """Bytes of the whole payload, header included."""


def read_header(sealed: bytes) -> SealedHeader:
    """The header at the beginning of `sealed`, which may go on behind the payload (a disk's bytes). Raises NotAuthentic
    when it is none or the payload is cut short."""
    if len(sealed) < _HEADER.size:
        raise NotAuthentic(f"a sealed payload has at least {_HEADER.size} bytes, this one {len(sealed)}")
    header = header_of(sealed)
    if header is None:
        raise NotAuthentic("these bytes are no sealed payload of a version that is known here")
    if len(sealed) < header.length:
        raise NotAuthentic(f"a sealed payload of {header.length} bytes is cut short: {len(sealed)} are there")
    return header


def header_of(beginning: bytes) -> SealedHeader | None:
    """The header at the beginning of a payload that may be cut short; None when there is none."""
    if len(beginning) < _HEADER.size:
        return None
    magic, letter, key_id, slot, following = _HEADER.unpack_from(beginning)
    if magic != MAGIC or letter not in _CUSTODIES or following < OVERHEAD_BYTES:
        return None
    return SealedHeader(_CUSTODIES[letter], key_id, slot, _HEADER.size + following)


class SealingVault:
    """The vault of one process (`overt.ports.Vault`); threads may share it.

    transient: where the site's transient keys come from. keyring: None in a service that handles nothing under durable
    keys (frame, detector, embedder). missing: a keyring of its own for the pictures of alerts about missing people, so
    that who is given the other one only cannot look at them; without it they lie in the one keyring.
    alert_retention_us: how long after the end of its hour a key of alert images is destroyed; a key keeps the figure
    that held when it was made. clock: decides only which hour an alert belongs to and whether a durable key has
    expired.
    """

    def __init__(
        self,
        deployment_id: str,
        transient: TransientKeys,
        keyring: Keyring | None,
        *,
        clock: Clock = lambda: time.time_ns() // 1000,
        alert_retention_us: int = DAY_US,
        missing: Keyring | None = None,
    ) -> None:
        name = deployment_id.encode()
        self._deployment = len(name).to_bytes(2, "big") + name
        self._transient = transient
        self._keyring = keyring
        self._missing = missing
        self._clock = clock
        self._alert_retention_us = alert_retention_us

    def seal(self, plain: bytes, *, custody: Custody, owner: str, context: bytes) -> bytes:
        """See `overt.ports.Vault`. Raises Unavailable, NoKeyring; KeyGone when the entry has no key: it was destroyed,
        or never made (`Keyring.create_entry_key`)."""
        key, slot = self._key_for(custody, owner)
        header = _HEADER.pack(MAGIC, _LETTERS[custody], key.key_id, slot, len(plain) + OVERHEAD_BYTES)
        return header + key.seal(plain, self._associated(header, context))

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """See `overt.ports.Vault`. Raises KeyGone, NotAuthentic, Unavailable, NoKeyring."""
        header = read_header(sealed)
        if header.length != len(sealed):
            raise NotAuthentic(f"a sealed payload of {header.length} bytes is followed by more, {len(sealed)} in all")
        key = self._key_of(header)
        return key.open(sealed[_HEADER.size :], self._associated(sealed[: _HEADER.size], context))

    def keys_alive(self) -> int:
        """Transient keys that this process holds: at most life / slot + 1 of a site. Gives up those that are over, so
        call it now and then when nothing is sealed or opened. Asks nobody."""
        return len(self._transient.ages_s())

    def oldest_key_age_s(self) -> float | None:
        """The age of the oldest of them; None when there is none. Asks nobody."""
        return max(self._transient.ages_s(), default=None)

    def overdue_keys(self) -> int:
        """Transient keys past their life that can still be had; there should be none. Raises Unavailable."""
        return self._transient.overdue()

    def oldest_alert_key_us(self) -> tuple[int, int] | None:
        """When the oldest key of alert images was made, and the earliest moment at which one had or has to be
        destroyed, in microseconds since the Unix epoch; None where there is no such key. Raises Unavailable."""
        keys = [key for keyring in self._keyrings() for key in keyring.alert_keys()]
        if not keys:
            return None
        ends_us = [key.expires_at_us for key in keys if key.expires_at_us is not None]
        return min(key.created_at_us for key in keys), min(ends_us, default=self._clock())

    def entry_removed(self, entry_id: str) -> bool:
        """Whether a watchlist entry's key was destroyed. Raises Unavailable, NoKeyring."""
        return self._durable().is_destroyed(entry_owner(entry_id))

    def durable_keys(self) -> int:
        """Keys in the keyrings; 0 without one. Raises Unavailable."""
        return sum(len(keyring) for keyring in self._keyrings())

    def sweep(self) -> int:
        """Destroys the keys of alert images whose time is over; how many. Cheap; call it every minute or so. Raises
        Unavailable."""
        return sum(keyring.sweep(self._clock()) for keyring in self._keyrings())

    def close(self) -> None:
        """Gives up every transient key held here."""
        self._transient.forget()

    def _key_for(self, custody: Custody, owner: str) -> tuple[SealingKey, int]:
        if custody is Custody.TRANSIENT:
            current = self._transient.current()
            return current.key, current.slot
        if custody is Custody.ALERT:
            return self._key_of_the_hour(owner), 0
        found = self._durable().get(entry_owner(owner))
        if found is None:
            raise KeyGone(f"watchlist entry {owner} has no key: it was removed, or never enrolled here")
        return found.key, 0

    def _key_of_the_hour(self, kind: str) -> SealingKey:
        """Alerts about missing people have keys of their own, wherever they lie."""
        hour = self._clock() // _HOUR_US
        name = f"{ALERT}{datetime.fromtimestamp(hour * 3600, UTC):%Y-%m-%dT%H}"
        if kind == Kind.MISSING:
            name = f"{name}:{kind}"
        apart = self._missing if kind == Kind.MISSING else None
        keyring = self._durable() if apart is None else apart
        found = keyring.get(name) or keyring.create(name, (hour + 1) * _HOUR_US + self._alert_retention_us)
        return found.key

    def _key_of(self, header: SealedHeader) -> SealingKey:
        if header.custody is Custody.TRANSIENT:
            held = self._transient.find(header.slot, header.key_id)
            if held is None:
                raise KeyGone("the transient key of a payload has expired or was lost")
            return held.key
        rings = self._keyrings() or [self._durable()]
        found = next((key for ring in rings if (key := ring.get_by_id(header.key_id)) is not None), None)
        if found is None or found.expired(self._clock()):
            raise KeyGone(f"the {header.custody} key of a payload has expired or was destroyed")
        return found.key

    def _keyrings(self) -> list[Keyring]:
        return [keyring for keyring in (self._keyring, self._missing) if keyring is not None]

    def _durable(self) -> Keyring:
        if self._keyring is None:
            raise NoKeyring("this process has no keyring: set OVERT_KEYRING_FILE and OVERT_DEPLOYMENT_KEY_FILE")
        return self._keyring

    def _associated(self, header: bytes, context: bytes) -> bytes:
        return b"".join((header, self._deployment, context))
