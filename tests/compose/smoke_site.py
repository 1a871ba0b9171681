"""Writes the folder of a site whose one camera is the composed walk-past of `overt demo`.

Portraits come from where `overt demo` takes them; what its cache holds is not fetched again.
"""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from overt.demo.deployments import demo_deployment
from overt.runtime.settings import load_settings


def main(folder: Path) -> None:
    demo = demo_deployment(load_settings().cache / "demo")
    camera = demo.cameras[0]
    video = Path(str(camera.source))
    for name in ("watchlist", "cameras", "certificates"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    shutil.copytree(demo.watchlist.source, folder / "watchlist", dirs_exist_ok=True)
    shutil.copy(video, folder / "cameras" / f"walk-past{video.suffix}")
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
                "source": f"cameras/walk-past{video.suffix}",
                "partition": 0,
                "zone": {"id": "pavement", "polygon": [list(corner) for corner in camera.zone.polygon]},
            }
        ],
        "watchlist": {
            "source": "watchlist",
            "subjects": "subfolder",
            "categories": [{"id": "smoke-listed", "kind": "wanted", "basis": "Listed for the test"}],
        },
    }
    (folder / "deployment.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
