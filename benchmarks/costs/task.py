"""What is measured: a video, two models, a watchlist; and the embedded pipeline that is built for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from overt.governance.deployment import Deployment
from overt.messages import WatchlistEntry
from overt.runtime.loaded import LoadedModels
from overt.runtime.memory import MemoryBus
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings
from overt.runtime.wiring import Wiring
from overt.runtime.world import memory_world

CAMERA = "measured"
CATEGORY = "measured-people"
_WHOLE = [[0, 0], [1, 0], [1, 1], [0, 1]]


@dataclass(frozen=True, slots=True)
class Task:
    """One measurement. All of the picture is the zone, so that every variant looks at the same pixels."""

    video: Path
    detector: str
    embedder: str
    settings: Settings
    entries: tuple[WatchlistEntry, ...] = ()
    enrolled_at_s: float | None = None
    """Where in the video the watchlist comes from; nobody is counted as found around it. None: not from the video."""

    def with_entries(self, entries: Sequence[WatchlistEntry], enrolled_at_s: float | None) -> Task:
        """The same measurement with a watchlist."""
        return replace(self, entries=tuple(entries), enrolled_at_s=enrolled_at_s)

    def deployment(
        self, *, loop: bool = False, cooldown_s: float = 60.0, watchlist: Path = Path("unused"), layout: str = "prefix"
    ) -> Deployment:
        """What `overt run` would be given for this video; everything that is not named has its default."""
        now = datetime.now(UTC).replace(microsecond=0)
        return Deployment.model_validate(
            {
                "deployment": "benchmark",
                "purpose": "Measure what the pipeline costs",
                "site": {"id": "bench", "place": "This machine", "reason": "A measurement"},
                "authority": {"officer": "Whoever started it", "reason": "A measurement"},
                "window": {"start": now.isoformat(), "end": (now + timedelta(hours=8)).isoformat()},
                "cameras": [
                    {
                        "id": CAMERA,
                        "source": str(self.video),
                        "partition": 0,
                        "loop": loop,
                        "zone": {"id": "all-of-it", "polygon": _WHOLE},
                    }
                ],
                "watchlist": {
                    "source": str(watchlist),
                    "subjects": layout,
                    "categories": [{"id": CATEGORY, "kind": "wanted", "basis": "A measurement"}],
                },
                "models": {"detector": self.detector, "embedder": self.embedder},
                "recognition": {"cooldown_s": cooldown_s},
            }
        )


def open_models(task: Task) -> LoadedModels:
    """The task's models, opened now: loading is not measured."""
    models = LoadedModels(task.deployment(), task.settings, Metrics())
    _ = models.detector_session, models.embedder_session
    return models


def wire(task: Task, models: LoadedModels, deployment: Deployment, *, realtime: bool) -> tuple[Wiring, MemoryBus]:
    """The embedded pipeline as `overt run` puts it together, with models that are open already."""
    world, bus = memory_world(deployment)
    wiring = Wiring(world, task.settings, Metrics(), realtime=realtime)
    wiring.models = models
    return wiring, bus
