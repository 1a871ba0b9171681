"""What is wrong with a cluster's addresses is said by the variable's name, and a password in them by nobody."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from overt.demo.deployments import own_deployment
from overt.ports import Unavailable
from overt.runtime.cluster import cluster_world, connect_redis
from overt.runtime.registry import ServerRegistry
from overt.runtime.settings import Settings, SettingsError


@pytest.mark.parametrize(
    "url",
    [
        "redis://:geheim#1@host:6379",  # everything up to the # is host and port now, and "geheim" the port
        "redis://user:pw:geheim@host:abc/0",
        "rediss://:geheim@[::1",
        "redis://:geheim@host:99999",
        "geheim",
    ],
)
def test_a_redis_address_that_cannot_be_read_is_named_and_not_quoted(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^OVERT_REDIS_URL: expected redis://host:port/0") as caught:
        connect_redis(Settings(redis_url=url))
    assert "geheim" not in str(caught.value)
    assert caught.value.__suppress_context__, "a traceback would show the address"


def world_with(tmp_path: Path, registry_url: str) -> None:
    settings = Settings(schema_registry_url=registry_url)
    cluster_world(own_deployment("usb:0", tmp_path), settings, realtime=True, client="test")


def test_a_registry_address_that_cannot_be_read_is_named_and_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^OVERT_SCHEMA_REGISTRY_URL: expected http://host:port") as caught:
        world_with(tmp_path, "geheim@host")
    assert "geheim" not in str(caught.value)


def test_a_registry_client_that_is_not_installed_is_named_with_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "overt.runtime.registry", None)
    with pytest.raises(SettingsError, match=r"^OVERT_SCHEMA_REGISTRY_URL: .*overt\[registry\]"):
        world_with(tmp_path, "http://127.0.0.1:1")


def test_a_registry_that_is_away_is_named_without_its_password() -> None:
    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:1 ") as caught:
        ServerRegistry("http://user:geheim@127.0.0.1:1").schema_of(3)
    assert "geheim" not in str(caught.value)


def test_settings_show_no_address_that_may_hold_a_password() -> None:
    settings = Settings(
        redis_url="redis://:geheim@host", schema_registry_url="http://u:geheim@h", kafka_config={"p": "geheim"}
    )
    assert "geheim" not in repr(settings) + str(settings)
