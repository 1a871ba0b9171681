"""The deployment files that `overt demo` runs, as a user would write them."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from overt.demo.cast import DEMO, DemoCast, demo_scene
from overt.demo.portraits import obtain
from overt.demo.scene import Progress
from overt.demo.walk import ZONE
from overt.governance.deployment import Deployment
from overt.governance.listing import layout_of
from overt.models.obtain import OnProgress, no_progress

COMPOSED = (
    "The scene is composed: portraits in the public domain walk through a drawn street. It shows how Overt works, not "
    "how well it recognises.",
    "grace-hopper walks past in the photograph of her enrolment, re-photographed synthetically: her similarity says "
    "less than that of two different photographs. barack-obama walks past in photographs other than the enrolled.",
)
"""What a reader of the demo's report must know."""

_WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def demo_deployment(
    folder: Path,
    progress: Progress | None = None,
    watchlist: Path | None = None,
    *,
    cast: DemoCast = DEMO,
    obtaining: OnProgress = no_progress,
) -> Deployment:
    """The composed walk-past and its watchlist (or another one); portraits and video are made once, in `folder`."""
    portraits = obtain(folder / "portraits", obtaining)
    scene = demo_scene(cast, portraits, folder, progress)
    listed = watchlist or _watchlist_of(cast, portraits, folder / "watchlist")
    return _deployment("demo", str(scene.video), listed, ZONE)


def own_deployment(source: str, watchlist: Path) -> Deployment:
    """A user's own video or camera, all of its picture, with their own watchlist."""
    return _deployment("demo-own", source, watchlist, _WHOLE)


def _watchlist_of(cast: DemoCast, portraits: dict[str, Path], folder: Path) -> Path:
    """The folder that a watchlist's maker would prepare: one subfolder a subject with the reference images."""
    if folder.exists():
        shutil.rmtree(folder)
    for listed in cast.watchlist:
        (folder / listed.label).mkdir(parents=True)
        for name in listed.portraits:
            shutil.copy(portraits[name], folder / listed.label / portraits[name].name)
    return folder


def _deployment(name: str, source: str, watchlist: Path, zone: Any) -> Deployment:
    now = datetime.now(UTC).replace(microsecond=0)
    return Deployment.model_validate(
        {
            "deployment": name,
            "purpose": "Show what Overt does, on people who are in the public domain or have agreed to it",
            "site": {"id": "demo", "place": "This machine", "reason": "A demonstration"},
            "authority": {"officer": "Whoever started it", "reason": "A demonstration; no operational use"},
            "window": {"start": now.isoformat(), "end": (now + timedelta(hours=8)).isoformat()},
            "cameras": [
                {
                    "id": "walk-past",
                    "source": source,
                    "partition": 0,
                    "zone": {"id": "pavement", "polygon": [list(corner) for corner in zone]},
                }
            ],
            "watchlist": {
                "source": str(watchlist),
                "subjects": layout_of(watchlist).value,
                "categories": [{"id": "demo-listed", "kind": "wanted", "basis": "Listed for the demonstration"}],
            },
        }
    )
