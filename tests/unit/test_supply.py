"""What Overt is made of: every package under a licence that is allowed, every model with a licence and a word on what
it was trained on, and a list of all of it that is whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECURITY = ROOT / "infra" / "security"


def test_every_licence_is_one_that_is_allowed() -> None:
    done = subprocess.run(
        [sys.executable, SECURITY / "licences"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert len([line for line in told if "not checked" not in line]) > 30
    assert len([line for line in told if line.startswith("model ")]) >= 4


def test_a_licence_that_is_not_allowed_or_not_stated_is_told(tmp_path: Path) -> None:
    """The same script on a tree with a package and a card that should not be there."""
    script = tmp_path / "infra" / "security" / "licences"
    script.parent.mkdir(parents=True)
    shutil.copy(SECURITY / "licences", script)
    (tmp_path / "uv.lock").write_text('[[package]]\nname = "smuggled"\nversion = "1"\n')
    cards = tmp_path / "services" / "overt" / "models" / "cards"
    cards.mkdir(parents=True)
    (cards / "m.yaml").write_text("name: m\nlicence: CC-BY-NC-4.0\n")
    info = tmp_path / "site" / "smuggled-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: smuggled\nVersion: 1\nLicense-Expression: AGPL-3.0-only\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "smuggled: AGPL-3.0-only: not among those that are allowed" in done.stderr
    assert "model m: CC-BY-NC-4.0: not among" in done.stderr
    assert "m.yaml: nothing is said of what the model was trained on" in done.stderr


def test_the_bill_of_materials_holds_what_the_lock_file_pins(tmp_path: Path) -> None:
    if not (shutil.which("uv") or (Path(sys.executable).parent / "uv").exists()):
        pytest.skip("uv is missing: pip install uv")
    out = tmp_path / "sbom.json"
    subprocess.run([SECURITY / "sbom", out], check=True, capture_output=True, timeout=60)
    found = {c["name"]: c["version"] for c in json.loads(out.read_text())["components"]}
    pinned = {p["name"]: p.get("version") for p in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {"confluent-kafka", "cryptography", "fastavro", "onnxruntime", "opencv-python-headless", "redis"}
    assert wanted <= set(found)
    assert {name: pinned[name] for name in found} == found
    assert len(found) > len(project["dependencies"])
    assert "pytest" not in found
