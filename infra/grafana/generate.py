"""Writes the dashboards as Grafana reads them.

python -m infra.grafana.generate     writes infra/grafana/dashboards/*.json
"""

from __future__ import annotations

import json
from pathlib import Path

from infra.grafana.panels import Dashboard
from infra.grafana.questions import ALL

FOLDER = Path(__file__).with_name("dashboards")


def text_of(dashboard: Dashboard) -> str:
    """The file of a dashboard."""
    return json.dumps(dashboard.json(), indent=2, ensure_ascii=False) + "\n"


def path_of(dashboard: Dashboard) -> Path:
    """Where it lies."""
    return FOLDER / f"{dashboard.uid}.json"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in ALL:
        path_of(each).write_text(text_of(each), encoding="utf-8")
