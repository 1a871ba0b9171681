"""A deployment with any number of cameras, its topics, and the settings of every process of a trial."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from overt.governance.deployment import Deployment
from overt.governance.loading import load_deployment
from overt.runtime.cluster import TopicsAdmin, cluster_world
from overt.runtime.settings import Settings, load_settings
from overt.runtime.world import World

FRAME_BYTES = 90_000
"""What a frame's JPEG takes where nothing else is said."""
_KEY_LIFE_S = 600  # nothing may be too late: what waits here waits since it was fed faster than it is worked off


@dataclass(frozen=True, slots=True)
class Site:
    """What a child process needs to know of a trial; it travels by pickle."""

    file: Path
    prefix: str
    bootstrap: str
    redis_url: str

    @property
    def settings(self) -> Settings:
        """The environment's, with this trial's servers and names."""
        own = {
            "kafka_bootstrap": self.bootstrap,
            "redis_url": self.redis_url,
            "topic_prefix": self.prefix,
            "transient_key_life_s": _KEY_LIFE_S,
        }
        return load_settings().model_copy(update=own)

    @property
    def deployment(self) -> Deployment:
        """Read again in each process."""
        return load_deployment(self.file)

    def world(self, client: str) -> World:
        """The cluster as a service sees it; connects to nothing yet."""
        return cluster_world(self.deployment, self.settings, realtime=False, client=client)


def make_site(
    folder: Path, cameras: int, *, bootstrap: str, redis_url: str, video: Path, models: tuple[str, str]
) -> Site:
    """Writes the deployment and creates its topics, one partition for each camera."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "people").mkdir(exist_ok=True)
    now = datetime.now(UTC).replace(microsecond=0)
    zone = {"id": "all", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}
    content = {
        "deployment": "scale",
        "purpose": "A measurement",
        "site": {"id": "here", "place": "Nowhere", "reason": "A measurement"},
        "authority": {"officer": "Nobody", "reason": "A measurement"},
        "window": {"start": now.isoformat(), "end": (now + timedelta(hours=4)).isoformat()},
        "cameras": [
            {"id": f"c{number}", "partition": number, "source": str(video.absolute()), "zone": zone}
            for number in range(cameras)
        ],
        "watchlist": {
            "source": "people",
            "categories": [{"id": "listed-for-the-measurement", "kind": "wanted", "basis": "A measurement"}],
        },
        "models": {"detector": models[0], "embedder": models[1]},
    }
    file = folder / f"deployment-{cameras}.yaml"
    file.write_text(json.dumps(content))  # which is YAML, and repeats a zone instead of naming it
    site = Site(file, f"scale-{uuid.uuid4().hex[:8]}.", bootstrap, redis_url)
    TopicsAdmin(site.deployment, site.settings).apply()
    return site
