"""Writes the folder of a site, or of a van, whose one camera shows the composed walk-past of `overt demo`.

Portraits come from where `overt demo` takes them; what its cache holds is not fetched again.
"""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from overt.demo.deployments import demo_deployment
from overt.governance.deployment import Deployment
from overt.runtime.settings import load_settings

OVERRIDES = {
    "site": ["tests/compose/recorded.yml"],
    "single": [],
}  # compose files beside docker-compose.yml, by profile


def recording() -> Path:
    """The walk-past."""
    return Path(str(_demo().cameras[0].source))


def recorded(folder: Path) -> None:
    """A site that reads the walk-past from a file."""
    video = recording()
    _write(folder, f"cameras/walk-past{video.suffix}")
    shutil.copy(video, folder / "cameras" / f"walk-past{video.suffix}")


def van(folder: Path) -> None:
    """A van that watches a camera: tests/compose/camera.py."""
    _write(folder, "rtsp://camera:8554/cam")


def _demo() -> Deployment:
    return demo_deployment(load_settings().cache / "demo")


def _write(folder: Path, source: str) -> None:
    demo = _demo()
    for name in ("watchlist", "cameras", "certificates"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    shutil.copytree(demo.watchlist.source, folder / "watchlist", dirs_exist_ok=True)
    now = datetime.now(UTC).replace(microsecond=0)
    content = {
        "deployment": "smoke",
        "purpose": "Show that this stack works, on portraits in the public domain",
        "site": {"id": "smoke", "place": "This machine", "reason": "A test"},
        "authority": {"officer": "Whoever started it", "reason": "A test; no operational use"},
        "window": {"start": now.isoformat(), "end": (now + timedelta(hours=2)).isoformat()},
        "cameras": [
            {
                "id": "walk-past",
                "source": source,
                "partition": 0,
                "max_fps": 7.5,  # of 15: half of the work shows as much
                "zone": {"id": "pavement", "polygon": [list(corner) for corner in demo.cameras[0].zone.polygon]},
            }
        ],
        "watchlist": {
            "source": "watchlist",
            "subjects": "subfolder",
            "categories": [{"id": "smoke-listed", "kind": "wanted", "basis": "Listed for the test"}],
        },
    }
    (folder / "deployment.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
