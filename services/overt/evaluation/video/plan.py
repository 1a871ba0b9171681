"""An evaluation on composed walk-pasts, as data; and when two of them are the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import overt
from overt.evaluation.datasets import Dataset
from overt.evaluation.video.cast import Parts
from overt.evaluation.video.conditions import Conditions
from overt.evaluation.video.enrolled import Enrolled
from overt.evaluation.video.setting import Operating
from overt.governance.deployment import Deployment
from overt.runtime.loaded import LoadedModels

_CODE = ("frame", "detector", "embedder", "matcher", "alerter", "models", "demo", "runtime/wiring.py")
"""What decides on a result beside the modules below."""
_OWN = ("cast", "composed", "join", "records", "rules", "runs", "setting", "stretch", "tap", "truth")


@dataclass(frozen=True, slots=True)
class Plan:
    """An evaluation on composed walk-pasts."""

    dataset: Dataset
    parts: Parts
    conditions: Conditions
    operating: Operating
    stretch: int = 100
    """Passes of one source; fewer are lost by an interruption, and more save little."""
    realtime: bool = False
    keep: Path | None = None
    """Where composed pictures are kept, so that other models see the very same ones at half the cost."""
    composing_detector: str | None = None
    """What finds the faces in photographs that are composed. None: what is evaluated; name one to compare detectors on
    the same pictures."""


def key_of(plan: Plan, deployment: Deployment, loaded: LoadedModels, enrolled: Enrolled) -> str:
    """Equal where the same passes go through the same pipeline: plan, models, rules and source code."""
    said = hashlib.sha256()
    shown = deployment.model_dump(mode="json", include={"models", "recognition", "watchlist"})
    composing = plan.composing_detector
    for part in (asdict(plan.parts), asdict(plan.conditions), plan.stretch, plan.realtime, composing, shown):
        said.update(json.dumps(part, sort_keys=True, default=str).encode())
    said.update(f"{loaded.detector.onnx.sha256} {loaded.embedder.onnx.sha256}".encode())
    for entry in enrolled.entries:
        said.update(f"{entry.entry_id} ".encode())
    home = Path(overt.__file__).parent
    own = [f"evaluation/video/{module}.py" for module in _OWN]
    for path in _files(home / name for name in (*_CODE, *own)):
        said.update(path.read_bytes())
    return said.hexdigest()[:16]


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (each for each in found if each.suffix in (".py", ".yaml"))
