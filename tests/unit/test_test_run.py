"""What a run of many processes does when one of them dies: the tests' own scheduler (tests/support/side_by_side.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CONFTEST = """
from tests.support.side_by_side import FilesSideBySide

def pytest_xdist_make_scheduler(config, log):
    return FilesSideBySide(config, log)
"""
TESTS = """
import os

def test_before(): pass
def test_deadly(): os._exit(3)
def test_after(): pass
def test_wrong(): assert False
def test_last(): pass
"""


def test_what_a_worker_died_of_fails_once_and_all_others_run(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_one.py").write_text(TESTS)
    (tmp_path / "test_two.py").write_text("def test_elsewhere(): pass\n")
    words = [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env = {**inherited, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 failed, 4 passed" in done.stdout
    assert done.stdout.count("replacing crashed worker") == 1
