"""How much room there is where a process writes, by the names of the places and never of what lies there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from overt.runtime.disks import Disks, room
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings


def value(metrics: Metrics, name: str, place: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"place": place})


def test_the_places_of_the_settings_and_where_a_run_writes_are_told(tmp_path: Path) -> None:
    settings = Settings(
        cache=tmp_path / "cache", keyring_file=tmp_path / "keys" / "keyring", watched_disks={"broker": tmp_path}
    )
    metrics = Metrics()
    Disks.of(settings, metrics, out=tmp_path / "out").tell()
    size = os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
    for place in ("cache", "keyring", "broker", "out"):
        assert value(metrics, "overt_disk_size_bytes", place) == size
        assert 0 < (value(metrics, "overt_disk_free_bytes", place) or 0) <= size


def test_a_place_that_does_not_exist_yet_has_the_disk_where_it_would_lie(tmp_path: Path) -> None:
    assert room(tmp_path / "not" / "yet")[1] == room(tmp_path)[1]


def test_a_place_that_cannot_be_asked_loses_its_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old figure would look like a disk with room."""
    metrics = Metrics()
    disks = Disks(metrics, {"broker": tmp_path})
    disks.tell()
    assert value(metrics, "overt_disk_free_bytes", "broker") is not None

    def away(path: object) -> os.statvfs_result:
        raise OSError("stale file handle")

    monkeypatch.setattr(os, "statvfs", away)
    disks.tell()
    assert value(metrics, "overt_disk_free_bytes", "broker") is None
    assert value(metrics, "overt_disk_size_bytes", "broker") is None
