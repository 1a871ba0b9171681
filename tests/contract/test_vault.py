"""The vault, with keys of one process and with keys that replicas share through a real Redis."""

from __future__ import annotations

import base64
import logging
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overt.ports import Custody, KeyGone, NotAuthentic, Unavailable, Vault
from overt.runtime.keys.deployment_key import create_deployment_key, load_deployment_key
from overt.runtime.keys.keyring import Keyring
from overt.runtime.keys.transient import MemoryTransientKeys, RedisTransientKeys, TransientKeys
from overt.runtime.redis_client import Client, connect
from overt.runtime.vault import MAGIC, NoKeyring, SealingVault, read_header
from tests.support.redis_server import RedisServer

HOUR_US = 3_600_000_000
NOON_US = 1_767_268_800_000_000  # 2026-01-01T12:00:00Z
PLAIN = b"a face of nobody, long enough that two sealed copies cannot agree by chance" * 4
CONTEXT = b"Frame\x1fimage\x1fgate\x1f1\x1f7"
EVERY = pytest.mark.parametrize("custody", list(Custody))


class Now:
    """A clock (microseconds) and elapsed time (seconds) that a test moves."""

    def __init__(self) -> None:
        self.us = NOON_US
        self.elapsed_s = 5000.0


class Site:
    """A keyring on disk and a source of transient keys, from which vaults are made as processes would."""

    def __init__(self, folder: Path, now: Now, client: Client | None) -> None:
        self.folder = folder
        self.now = now
        self.client = client
        create_deployment_key(folder / "secret")
        self.keyring("d1").create_file()
        self.keyring("d1").create_entry_key("e1")
        self._memory = self.transient()

    def keyring(self, deployment_id: str) -> Keyring:
        path = self.folder / "keyring"
        return Keyring(path, load_deployment_key(self.folder / "secret"), deployment_id, clock=lambda: self.now.us)

    def transient(self) -> TransientKeys:
        if self.client is None:
            return MemoryTransientKeys(slot_s=50_000, life_s=60_000, elapsed=lambda: self.now.elapsed_s)
        return RedisTransientKeys(
            self.client, "d1", "s1", slot_s=50_000, life_s=60_000, elapsed=lambda: self.now.elapsed_s
        )

    def vault(self) -> SealingVault:
        """A process of its own; with keys in memory all are one process."""
        transient = self._memory if self.client is None else self.transient()
        return SealingVault("d1", transient, self.keyring("d1"), clock=lambda: self.now.us)


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def site(request: pytest.FixtureRequest, tmp_path: Path, now: Now) -> Iterator[Site]:
    if request.param == "memory":
        yield Site(tmp_path, now, None)
        return
    client = connect(request.getfixturevalue("redis_server").url)
    yield Site(tmp_path, now, client)
    client.close()


@pytest.fixture
def over_redis(redis_server: RedisServer, tmp_path: Path, now: Now) -> Iterator[Site]:
    client = connect(redis_server.url)
    yield Site(tmp_path, now, client)
    client.close()


@pytest.fixture
def alone(tmp_path: Path, now: Now) -> Site:
    return Site(tmp_path, now, None)


def sealed_by(vault: Vault, custody: Custody, plain: bytes = PLAIN) -> bytes:
    return vault.seal(plain, custody=custody, owner="e1", context=CONTEXT)


def windows(data: bytes, width: int = 8) -> set[bytes]:
    return {data[at : at + width] for at in range(len(data) - width + 1)}


@EVERY
def test_another_process_of_the_deployment_opens_what_was_sealed(site: Site, custody: Custody) -> None:
    assert site.vault().open(sealed_by(site.vault(), custody), context=CONTEXT) == PLAIN


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(plain=st.binary(max_size=300), context=st.binary(max_size=50), custody=st.sampled_from(Custody))
def test_any_bytes_come_back_under_the_same_context(
    alone: Site, plain: bytes, context: bytes, custody: Custody
) -> None:
    vault = alone.vault()
    sealed = vault.seal(plain, custody=custody, owner="e1", context=context)
    assert vault.open(sealed, context=context) == plain
    assert read_header(sealed + b"more of the disk").length == len(sealed) == 61 + len(plain)
    assert sealed.startswith(MAGIC)


@EVERY
def test_two_seals_of_one_input_share_no_ciphertext(site: Site, custody: Custody) -> None:
    vault = site.vault()
    first, second = (sealed_by(vault, custody) for _ in range(2))
    assert not windows(first[33:]) & windows(second[33:])
    assert not windows(PLAIN) & (windows(first) | windows(second))


def test_two_runs_of_one_input_share_no_ciphertext_and_no_key(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A run has its own Redis (memory only) or process, and its own keyring, even under the same deployment id."""
    first = {custody: sealed_by(site.vault(), custody) for custody in Custody}
    if site.client is not None:
        site.client.call("FLUSHALL")
    again = Site(tmp_path_factory.mktemp("again"), site.now, site.client)
    for custody, sealed in first.items():
        second = sealed_by(again.vault(), custody)
        assert read_header(second).key_id != read_header(sealed).key_id
        assert not windows(second[33:]) & windows(sealed[33:])
        with pytest.raises(KeyGone):
            again.vault().open(sealed, context=CONTEXT)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(data=st.data(), custody=st.sampled_from(Custody))
def test_a_flipped_bit_anywhere_never_opens(alone: Site, data: st.DataObject, custody: Custody) -> None:
    vault = alone.vault()
    sealed = sealed_by(vault, custody, b"twenty bytes of face")
    place = data.draw(st.integers(0, len(sealed) - 1), label="place")
    bit = data.draw(st.integers(0, 7), label="bit")
    flipped = sealed[:place] + bytes([sealed[place] ^ (1 << bit)]) + sealed[place + 1 :]
    in_the_keys_id = 5 <= place < 21
    with pytest.raises(KeyGone if in_the_keys_id else NotAuthentic):
        vault.open(flipped, context=CONTEXT)


def test_another_custody_in_the_header_never_opens(alone: Site) -> None:
    vault = alone.vault()
    for custody in Custody:
        sealed = sealed_by(vault, custody)
        for letter in {b"t", b"a", b"e"} - {sealed[4:5]}:
            with pytest.raises((NotAuthentic, KeyGone)):
                vault.open(sealed[:4] + letter + sealed[5:], context=CONTEXT)


@EVERY
def test_a_payload_cut_short_or_followed_by_more_is_refused(alone: Site, custody: Custody) -> None:
    vault = alone.vault()
    sealed = sealed_by(vault, custody)
    for wrong in [sealed[:end] for end in (0, 1, 4, 32, 33, 60, 61, len(sealed) - 1)] + [sealed + b"\0", sealed * 2]:
        with pytest.raises(NotAuthentic):
            vault.open(wrong, context=CONTEXT)


@given(junk=st.binary(max_size=200))
def test_bytes_that_are_no_sealed_payload_are_refused(junk: bytes) -> None:
    with pytest.raises(NotAuthentic):
        SealingVault("d1", MemoryTransientKeys(), None).open(junk, context=CONTEXT)


@EVERY
def test_another_camera_or_deployment_does_not_open_it(site: Site, custody: Custody, tmp_path: Path) -> None:
    vault = site.vault()
    sealed = sealed_by(vault, custody)
    for context in (CONTEXT.replace(b"gate", b"door"), CONTEXT + b"0", CONTEXT[:-1], b""):
        with pytest.raises(NotAuthentic):
            vault.open(sealed, context=context)
    other = SealingVault("d2", vault._transient, vault._keyring, clock=lambda: site.now.us)
    with pytest.raises(NotAuthentic):
        other.open(sealed, context=CONTEXT)


def test_deployment_and_context_do_not_run_into_each_other(alone: Site) -> None:
    """Else deployment d1 with context "1x" would be deployment d11 with context "x"."""
    transient = alone.transient()
    sealed = SealingVault("d1", transient, None).seal(b"x", custody=Custody.TRANSIENT, owner="", context=b"1x")
    with pytest.raises(NotAuthentic):
        SealingVault("d11", transient, None).open(sealed, context=b"x")


# The ends of keys


def test_an_expired_transient_key_opens_nothing(site: Site, now: Now) -> None:
    vault = site.vault()
    sealed = sealed_by(vault, Custody.TRANSIENT)
    now.elapsed_s += 59_999
    assert vault.open(sealed, context=CONTEXT) == PLAIN
    if site.client is not None:
        site.client.call("FLUSHALL")  # Redis's own clock does not move with the test's; its expiry is tested apart
    now.elapsed_s += 1
    with pytest.raises(KeyGone):
        vault.open(sealed, context=CONTEXT)


def test_an_hour_of_alerts_has_one_key_until_the_retention_after_its_end(alone: Site, now: Now) -> None:
    vault = alone.vault()
    early = sealed_by(vault, Custody.ALERT)
    now.us += HOUR_US - 1
    late = sealed_by(vault, Custody.ALERT)
    now.us += 1
    next_hour = sealed_by(vault, Custody.ALERT)
    assert read_header(early).key_id == read_header(late).key_id != read_header(next_hour).key_id
    owners = {key.owner: key.expires_at_us for key in alone.keyring("d1").every_key()}
    assert owners["alert:2026-01-01T12"] == NOON_US + 25 * HOUR_US
    now.us = NOON_US + 25 * HOUR_US - 1
    assert vault.sweep() == 0
    assert vault.open(late, context=CONTEXT) == PLAIN
    now.us += 1
    with pytest.raises(KeyGone, match="expired"):
        vault.open(early, context=CONTEXT)  # though nobody has swept yet
    assert vault.open(next_hour, context=CONTEXT) == PLAIN
    assert vault.durable_keys() == 3
    assert vault.sweep() == 1
    assert vault.durable_keys() == 2
    now.us = NOON_US
    with pytest.raises(KeyGone):
        vault.open(early, context=CONTEXT)  # destroyed, whatever the clock says later


def test_a_removed_entry_opens_nowhere_at_once(alone: Site) -> None:
    vault = alone.vault()
    sealed = sealed_by(vault, Custody.ENTRY)
    assert vault.open(sealed, context=CONTEXT) == PLAIN
    assert alone.keyring("d1").destroy_entry_key("e1")  # as another process would
    with pytest.raises(KeyGone):
        vault.open(sealed, context=CONTEXT)
    with pytest.raises(KeyGone, match="e1"):
        sealed_by(vault, Custody.ENTRY)


def test_the_vault_never_makes_a_key_for_an_entry(alone: Site) -> None:
    vault = alone.vault()
    with pytest.raises(KeyGone, match="never enrolled"):
        vault.seal(PLAIN, custody=Custody.ENTRY, owner="e2", context=CONTEXT)
    assert vault.durable_keys() == 1


@pytest.mark.redis
def test_with_redis_wiped_and_everything_restarted_transient_payloads_are_gone_and_alerts_open(
    over_redis: Site, redis_server: RedisServer
) -> None:
    sealed = {custody: sealed_by(over_redis.vault(), custody) for custody in Custody}
    redis_server.restart()
    vault = over_redis.vault()
    with pytest.raises(KeyGone):
        vault.open(sealed[Custody.TRANSIENT], context=CONTEXT)
    assert vault.open(sealed[Custody.ALERT], context=CONTEXT) == PLAIN
    assert vault.open(sealed[Custody.ENTRY], context=CONTEXT) == PLAIN
    assert vault.open(sealed_by(vault, Custody.TRANSIENT), context=CONTEXT) == PLAIN


@pytest.mark.redis
def test_without_redis_transient_custody_is_unavailable_and_durable_custody_goes_on(
    over_redis: Site, redis_server: RedisServer
) -> None:
    transient = sealed_by(over_redis.vault(), Custody.TRANSIENT)
    redis_server.kill()
    vault = over_redis.vault()
    with pytest.raises(Unavailable):
        sealed_by(vault, Custody.TRANSIENT)
    with pytest.raises(Unavailable):
        vault.open(transient, context=CONTEXT)
    assert vault.open(sealed_by(vault, Custody.ALERT), context=CONTEXT) == PLAIN


def test_a_keyring_that_cannot_be_read_is_unavailable_and_not_a_bad_message(alone: Site) -> None:
    vault = alone.vault()
    sealed = sealed_by(vault, Custody.ALERT)
    content = (alone.folder / "keyring").read_bytes()
    (alone.folder / "keyring").write_bytes(content[:-40])
    with pytest.raises(Unavailable, match="damaged"):
        vault.open(sealed, context=CONTEXT)
    (alone.folder / "keyring").write_bytes(content)
    assert vault.open(sealed, context=CONTEXT) == PLAIN


def test_a_process_without_a_keyring_says_so_aloud(alone: Site) -> None:
    vault = SealingVault("d1", alone.transient(), None)
    assert vault.open(sealed_by(vault, Custody.TRANSIENT), context=CONTEXT) == PLAIN
    assert (vault.durable_keys(), vault.sweep()) == (0, 0)
    for custody in (Custody.ALERT, Custody.ENTRY):
        with pytest.raises(NoKeyring, match="OVERT_KEYRING_FILE"):
            sealed_by(vault, custody)
        with pytest.raises(NoKeyring):
            vault.open(sealed_by(alone.vault(), custody), context=CONTEXT)


# What shows


def test_keys_alive_and_the_oldest_are_told_and_given_up_at_the_end(site: Site, now: Now) -> None:
    vault = site.vault()
    assert (vault.keys_alive(), vault.oldest_key_age_s()) == (0, None)
    sealed_by(vault, Custody.TRANSIENT)
    now.elapsed_s += 7
    assert vault.keys_alive() == 1
    assert vault.oldest_key_age_s() == pytest.approx(7, abs=1)
    vault.close()
    assert (vault.keys_alive(), vault.oldest_key_age_s()) == (0, None)


def test_the_oldest_key_of_alert_images_and_its_end_are_told(alone: Site, now: Now) -> None:
    """Entry keys are none of them."""
    vault = alone.vault()
    assert vault.durable_keys() == 1
    assert vault.oldest_alert_key_us() is None
    made_us = now.us
    sealed_by(vault, Custody.ALERT)
    now.us += 3_600_000_000
    sealed_by(vault, Custody.ALERT)
    oldest = vault.oldest_alert_key_us()
    assert oldest is not None
    assert oldest[0] == made_us
    assert 24 * 3_600_000_000 <= oldest[1] - made_us <= 25 * 3_600_000_000


def failing(site: Site) -> list[Callable[[], object]]:
    """Every way in which a vault fails."""
    vault = site.vault()
    payloads = [sealed_by(vault, custody) for custody in Custody]
    lonely = SealingVault("d1", MemoryTransientKeys(), None)
    attempts: list[Callable[[], object]] = [lambda: sealed_by(lonely, Custody.ALERT)]
    for sealed in payloads:
        attempts += [
            partial(vault.open, sealed, context=b"elsewhere"),
            partial(vault.open, sealed[:-1] + b"\0\0", context=CONTEXT),
            partial(lonely.open, sealed, context=CONTEXT),
            partial(vault.open, sealed[:5] + bytes(16) + sealed[21:], context=CONTEXT),
        ]
    return [*attempts, lambda: vault.seal(PLAIN, custody=Custody.ENTRY, owner="e2", context=CONTEXT)]


def test_no_key_and_no_plaintext_shows_in_a_repr_an_error_or_a_log(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    vault = site.vault()
    sealed_by(vault, Custody.TRANSIENT)
    shown = [repr(vault), repr(vars(vault)), repr(vault._transient), repr(vars(vault._transient))]
    for attempt in failing(site):
        with pytest.raises((KeyGone, NotAuthentic, NoKeyring)) as caught:
            attempt()
        shown.append("".join(traceback.format_exception(caught.value)))
    shown.append(caplog.text)
    secrets = [key.key.reveal() for key in site.keyring("d1").every_key()]
    secrets += [vault._transient.current().key.reveal(), load_deployment_key(site.folder / "secret").reveal(), PLAIN]
    assert len(secrets) == 5
    for secret in secrets:
        for shape in (repr(secret)[2:-1], secret.hex(), base64.b64encode(secret).decode(), repr(list(secret))[1:-1]):
            assert not [text for text in shown if shape in text]
