"""How much room there is where a process writes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Disks:
    """Folders by name, and the metrics in which their disks' size and free space are told."""

    metrics: Metrics | None
    folders: Mapping[str, Path]

    @classmethod
    def of(cls, settings: Settings, metrics: Metrics | None, *, out: Path | None = None) -> Self:
        """The folders that the settings name, and `out`, where a run writes."""
        folders = {"cache": settings.cache, **settings.watched_disks}
        if settings.keyring_file is not None:
            folders["keyring"] = settings.keyring_file.parent
        if out is not None:
            folders["out"] = out
        return cls(metrics, folders)

    def tell(self) -> None:
        """Brings the gauges up to date. A folder that is not there yet has its disk told by the one above it; one that
        cannot be asked loses its series, which a rule notices."""
        if self.metrics is None:
            return
        for place, folder in self.folders.items():
            try:
                free_bytes, size_bytes = room(folder)
            except OSError:
                self.metrics.disk_free_bytes.remove(place)
                self.metrics.disk_size_bytes.remove(place)
                continue
            self.metrics.disk_free_bytes.labels(place).set(free_bytes)
            self.metrics.disk_size_bytes.labels(place).set(size_bytes)


def room(folder: Path) -> tuple[int, int]:
    """Free for this user, and size, of the disk where a folder lies or would lie, in bytes. Raises OSError."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    answer = os.statvfs(there)
    return answer.f_bavail * answer.f_frsize, answer.f_blocks * answer.f_frsize
