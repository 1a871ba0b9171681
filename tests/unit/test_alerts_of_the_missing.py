"""Alerts about missing people can be kept from those who see the wanted, and the other way round."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from unittest import mock

import pytest

from overt.cli import alerts
from overt.messages import TOPIC_OF, Alert, Kind, Match
from overt.output.alerts_jsonl import alert_to_dict
from overt.ports import KeyGone, Record
from overt.runtime.avro import AvroFormat, LocalRegistry
from overt.runtime.codec import SealingCodec
from overt.runtime.keys.deployment_key import create_deployment_key, load_deployment_key
from overt.runtime.keys.deployment_keyring import demand_keyrings, open_keyring, open_missing_keyring
from overt.runtime.keys.keyring import Keyring
from overt.runtime.keys.transient import MemoryTransientKeys
from overt.runtime.settings import Settings, SettingsError
from overt.runtime.vault import DAY_US, SealingVault
from overt.runtime.world import memory_world
from tests.support import embedded, runs
from tests.support import messages as make
from tests.support.messages import SCHEMAS

HOUR_US = 3_600_000_000
NOW_US = 500_000 * HOUR_US


class Site:
    """Two keyrings of one deployment, and codecs of processes that were given one, the other, or both."""

    def __init__(self, folder: Path) -> None:
        self.now_us = NOW_US
        create_deployment_key(folder / "key")
        self.wanted, self.missing = (self._keyring(folder / name) for name in ("keyring", "missing"))
        self.transient = MemoryTransientKeys()

    def _keyring(self, path: Path) -> Keyring:
        ring = Keyring(path, load_deployment_key(path.parent / "key"), "d1", clock=lambda: self.now_us)
        ring.create_file()
        return ring

    def vault(self, keyring: Keyring | None, missing: Keyring | None) -> SealingVault:
        return SealingVault("d1", self.transient, keyring, clock=lambda: self.now_us, missing=missing)

    def codec(self, keyring: Keyring | None, missing: Keyring | None) -> SealingCodec:
        avro = AvroFormat(SCHEMAS, LocalRegistry(SCHEMAS), lambda record: record)
        return SealingCodec(avro, self.vault(keyring, missing), prefix="overt.", frame_form="png")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def record(codec: SealingCodec, message: Alert | Match) -> Record:
    return Record("overt." + TOPIC_OF[type(message)], 0, 0, message.key, codec.encode(message), 0)


@pytest.mark.parametrize("made", [make.alert(), make.match()], ids=["alert", "match"])
def test_who_has_one_keyring_sees_the_pictures_of_one_kind(site: Site, made: Alert | Match) -> None:
    both = site.codec(site.wanted, site.missing)
    of = {kind: record(both, dataclasses.replace(made, kind=kind)) for kind in Kind}
    for reader, kinds in (
        (both, {Kind.WANTED, Kind.MISSING}),
        (site.codec(site.wanted, None), {Kind.WANTED}),
        (site.codec(None, site.missing), {Kind.MISSING}),
    ):
        for kind in Kind:
            if kind in kinds:
                assert getattr(reader.decode(of[kind]), "kind", None) is kind
            else:
                with pytest.raises(KeyGone):
                    reader.decode(of[kind])


def test_nobody_changes_the_kind_to_open_it_with_the_other_keyring(site: Site) -> None:
    """The key of a payload is named in the payload, not found by what the record says."""
    both = site.codec(site.wanted, site.missing)
    data = bytearray(both.encode(make.alert(kind=Kind.MISSING)))
    other = bytearray(both.encode(make.alert(kind=Kind.WANTED)))
    at = next(n for n, (one, two) in enumerate(zip(data[5:], other[5:], strict=True), start=5) if one != two)
    data[at] = other[at]
    changed = Record("overt.alerts", 0, 0, "d1", bytes(data), 0)
    assert both.peek(changed)["kind"] == "wanted"
    with pytest.raises(KeyGone):
        site.codec(site.wanted, None).decode(changed)


def test_without_a_keyring_of_their_own_they_still_have_keys_of_their_own(site: Site) -> None:
    codec = site.codec(site.wanted, None)
    for kind in Kind:
        assert codec.decode(record(codec, make.alert(kind=kind)))
    hour = "2027-01-15T08"
    assert {key.owner for key in site.wanted.every_key()} == {f"alert:{hour}:missing", f"alert:{hour}"}


def test_keys_of_both_keyrings_end_with_the_retention(site: Site) -> None:
    vault = site.vault(site.wanted, site.missing)
    codec = site.codec(site.wanted, site.missing)
    of = [record(codec, make.alert(kind=kind)) for kind in Kind]
    assert vault.durable_keys() == 2
    site.now_us += HOUR_US + DAY_US
    assert vault.sweep() == 2
    assert (vault.durable_keys(), len(site.wanted), len(site.missing)) == (0, 0, 0)
    for one in of:
        with pytest.raises(KeyGone):
            codec.decode(one)


def settings(folder: Path, *, missing: bool) -> Settings:
    return Settings(
        deployment_key_file=folder / "key",
        keyring_file=folder / "keyring",
        missing_keyring_file=folder / "missing" if missing else None,
    )


def test_a_service_that_could_not_open_what_another_seals_does_not_start(tmp_path: Path) -> None:
    """An alerter without the keyring of the missing would lose their alerts."""
    create_deployment_key(tmp_path / "key")
    deployment = embedded.parsed(runs.deployment([runs.camera("c1", "a.mp4")], tmp_path))
    demand_keyrings(deployment, settings(tmp_path, missing=False))
    demand_keyrings(deployment, settings(tmp_path, missing=True))
    demand_keyrings(deployment, settings(tmp_path, missing=True))
    with pytest.raises(SettingsError, match="OVERT_MISSING_KEYRING_FILE is not set"):
        demand_keyrings(deployment, settings(tmp_path, missing=False))
    assert open_missing_keyring(deployment, settings(tmp_path, missing=False)) is None
    assert len(open_keyring(deployment, settings(tmp_path, missing=False))) == 1, "the mark"


def test_the_keyring_of_the_missing_needs_the_deployment_key_too(tmp_path: Path) -> None:
    deployment = embedded.parsed(runs.deployment([runs.camera("c1", "a.mp4")], tmp_path))
    with pytest.raises(SettingsError, match="OVERT_DEPLOYMENT_KEY_FILE"):
        open_missing_keyring(deployment, Settings(missing_keyring_file=tmp_path / "missing"))


@pytest.mark.parametrize(("asked", "shown"), [((), ["a1", "a2"]), (("--kind", "missing"), ["a2"])])
def test_tail_shows_the_kind_that_is_asked_for(tmp_path: Path, asked: tuple[str, ...], shown: list[str]) -> None:
    content = runs.deployment([runs.camera("c1", "a.mp4")], tmp_path)
    world, bus = memory_world(embedded.parsed(content))
    for alert_id, kind in (("a1", Kind.WANTED), ("a2", Kind.MISSING)):
        bus.sink().produce("alerts", key="d1", value=make.alert(alert_id=alert_id, kind=kind))
    readable = dataclasses.replace(world, peek=lambda record: alert_to_dict(record.value))
    file = runs.write(tmp_path / "d.yaml", content)
    with mock.patch.object(alerts, "cluster_world", return_value=readable):
        ended = runs.here("alerts", "tail", "-d", file, "--until-end", *asked, out=None, env=runs.environment())
    assert [json.loads(line)["alert_id"] for line in ended.out.splitlines()] == shown
