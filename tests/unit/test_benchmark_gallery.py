"""`benchmarks/gallery.py` runs to its end on small lists, and its synthetic impostors are as alike as people are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.models import REPOSITORY
from tests.support.runs import environment


def test_it_prints_a_line_for_each_answer_and_shows_that_the_impostors_agree(tmp_path: Path) -> None:
    pytest.importorskip("hnswlib")
    random = np.random.default_rng(1)
    people = random.standard_normal((300, 24)) * np.linspace(2, 0.5, 24) + 0.3
    shown = np.repeat(people, 2, axis=0) + random.standard_normal((600, 24)) * 0.3
    vectors = (shown / np.linalg.norm(shown, axis=1, keepdims=True)).astype(np.float32)
    np.savez(tmp_path / "people.npz", vectors=vectors, people=np.repeat(np.arange(300), 2))
    options = [
        "--sizes",
        "200,500",
        "--probes",
        "200",
        "--seconds",
        "0.1",
        "--threshold",
        "0.7",
        "--real",
        "people.npz",
    ]
    done = subprocess.run(
        [sys.executable, REPOSITORY / "benchmarks" / "gallery.py", *options],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    quantiles = [line.split() for line in done.stdout.splitlines() if "quantile" in line]
    assert len(quantiles) == 5
    for words in quantiles:
        assert float(words[3].rstrip(",")) == pytest.approx(float(words[5]), abs=0.08)
    lines = [line.split() for line in done.stdout.splitlines() if line.split()[:1] in (["200"], ["500"])]
    assert [(line[0], line[2].rstrip(",")) for line in lines] == [
        (size, answer) for size in ("200", "500") for answer in ("exact", "hnswlib", "HNSW")
    ]
