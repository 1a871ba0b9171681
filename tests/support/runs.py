"""`overt run` and `overt demo` as a user starts them: a deployment file, a process, what it said and what it left."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from overt.cli import cli
from overt.cli.errors import reporting
from tests.support.process import overt

WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
FAST = {"detector": "yunet-s", "embedder": "mobilefacenet-192"}
"""The models of the test data: a fifth of the default ones' cost."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended by itself."""

    code: int
    out: str
    err: str
    folder: Path
    """Where it was told to write."""

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """The lines of alerts.jsonl."""
        return [json.loads(line) for line in (self.folder / "alerts.jsonl").read_text("utf-8").splitlines()]

    @property
    def subjects(self) -> list[str]:
        """Whom its alerts are about, sorted; one for each alert."""
        return sorted(alert["subject_id"] for alert in self.alerts)


def camera(
    camera_id: str, source: str | Path, polygon: Sequence[Sequence[float]] = WHOLE, partition: int = 0, **more: Any
) -> dict[str, Any]:
    """One camera of a deployment file."""
    zone = {"id": f"{camera_id}-zone", "polygon": [list(corner) for corner in polygon]}
    return {"id": camera_id, "source": str(source), "partition": partition, "zone": zone, **more}


def deployment(
    cameras: Sequence[Mapping[str, Any]],
    watchlist: Path,
    *,
    subjects: str = "subfolder",
    opens_in_s: float = -60,
    closes_in_s: float = 3600,
    **more: Any,
) -> dict[str, Any]:
    """What a deployment file says. The window is relative to now."""
    now = datetime.now(UTC)
    return {
        "deployment": "street-test",
        "purpose": "Find out whether it works",
        "site": {"id": "lab", "place": "A test", "reason": "Testing"},
        "authority": {"officer": "The tests", "reason": "Testing"},
        "window": {
            "start": (now + timedelta(seconds=opens_in_s)).isoformat(),
            "end": (now + timedelta(seconds=closes_in_s)).isoformat(),
        },
        "cameras": [dict(entry) for entry in cameras],
        "watchlist": {
            "source": str(watchlist),
            "subjects": subjects,
            "categories": [{"id": "wanted-test", "kind": "wanted", "basis": "Testing"}],
        },
        **more,
    }


def write(path: Path, content: Mapping[str, Any]) -> Path:
    """Writes a deployment file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def environment(**settings: str | Path) -> dict[str, str]:
    """This process's environment with these settings of Overt (names without their prefix) and no other."""
    kept = {key: value for key, value in os.environ.items() if key == "OVERT_CACHE" or not key.startswith("OVERT_")}
    return kept | {f"OVERT_{key.upper()}": str(value) for key, value in settings.items()}


def start(*arguments: str | Path, out: Path, env: Mapping[str, str] | None = None, timeout_s: float = 120) -> Ended:
    """`overt ARGUMENTS --out OUT` to its end; TimeoutExpired where it hangs."""
    done = subprocess.run(
        overt(*arguments, "--out", out),
        env=dict(env or environment()),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr, out)


def here(*arguments: str | Path, out: Path | None, env: Mapping[str, str]) -> Ended:
    """The same inside this process, which saves seconds: for commands that end before they start any thread."""
    said, complained, root = io.StringIO(), io.StringIO(), logging.getLogger()
    handlers, level, root.handlers = root.handlers, root.level, []  # the command sets up logging for a whole process
    code: int | str | None = 0
    try:
        with (
            mock.patch.dict(os.environ, env, clear=True),
            redirect_stdout(said),
            redirect_stderr(complained),
            reporting(),
        ):
            cli.main([*map(str, arguments), *(["--out", str(out)] if out else [])], prog_name="overt")
    except SystemExit as end:
        code = end.code
    finally:
        root.handlers = handlers
        root.setLevel(level)
    number = code if isinstance(code, int) else int(code is not None)
    return Ended(number, said.getvalue(), complained.getvalue(), out or Path())
