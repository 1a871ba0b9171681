"""An embedded run inside the test's own process: its alerts, what its detector saw, what became of its cameras."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overt.governance.deployment import Deployment
from overt.messages import Alert, Sightings, WatchlistEntry
from overt.runtime.embedded import EmbeddedRun
from overt.runtime.frame.rules import CameraSummary
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings
from overt.runtime.watchlist.enrolment import Enrolment, enrol_folder
from overt.runtime.wiring import Wiring
from overt.runtime.world import memory_world
from tests.support.models import CACHE
from tests.support.process import Scrape


@dataclass(slots=True)
class Run:
    """What has come of a run."""

    metrics: Metrics
    alerts: list[Alert] = field(default_factory=list)
    sightings: list[Sightings] = field(default_factory=list)
    """Of every frame, with the frame; only where they were asked for."""
    cameras: Mapping[str, CameraSummary] = field(default_factory=dict)

    @property
    def subjects(self) -> list[str]:
        """Whom the alerts are about, sorted; one for each alert."""
        return sorted(alert.subject_id for alert in self.alerts)

    def total(self, metric: str, **labels: str) -> float:
        """Sum of a metric's samples that have these labels."""
        from prometheus_client import generate_latest

        return Scrape(generate_latest(self.metrics.registry).decode()).total(metric, **labels)


def settings(test_data: Path | None = None) -> Settings:
    """The user's cache of models, and those of the test data where it is given."""
    return Settings(cache=Path(os.environ.get("OVERT_CACHE") or CACHE), models_dir=test_data and test_data / "models")


def parsed(content: Mapping[str, Any]) -> Deployment:
    """A deployment of `tests.support.runs.deployment`."""
    return Deployment.model_validate(dict(content))


def enrolled(deployment: Deployment, with_settings: Settings) -> Enrolment:
    """The watchlist, enrolled with the deployment's models."""
    wiring = Wiring(memory_world(deployment)[0], with_settings, Metrics(), realtime=False)
    return enrol_folder(wiring, lambda done, total: None)


def run(
    deployment: Deployment,
    with_settings: Settings,
    entries: Sequence[WatchlistEntry] | None = None,
    *,
    observe: bool = False,
    realtime: bool = False,
) -> Run:
    """Runs it to its end; with these entries, or with those of its folder."""
    if entries is None:
        entries = enrolled(deployment, with_settings).entries
    world, bus = memory_world(deployment)
    result = Run(Metrics())
    wiring = Wiring(world, with_settings, result.metrics, realtime=realtime)
    seen = result.sightings.append if observe else None
    result.cameras = EmbeddedRun(wiring, bus, entries, on_alert=result.alerts.append, observe=seen).run(
        threading.Event()
    )
    return result
