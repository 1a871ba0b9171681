"""`benchmarks/pipeline.py` runs to its end on a small scene with the default models, and its table is consistent."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.models import REPOSITORY, real_model
from tests.support.runs import environment
from tests.support.scenes import PEOPLE, Scenes, subject

PERSON = PEOPLE[0]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_benchmark_prints_costs_ratios_shares_and_the_people_found(scenes: Scenes, tmp_path: Path) -> None:
    """Whatever the times are: the same person is found by pipeline and naive loop, and the shares add up."""
    for model in ("centerface", "dlib-resnet-v1"):
        real_model(model)
    scene = scenes.walk([PERSON], size=(320, 180), near_px=108.0, seconds=1.2)
    arguments: list[str | Path] = ["--video", scene.video, "--watchlist", scenes.watchlist([PERSON], tmp_path / "list")]
    done = subprocess.run(
        [sys.executable, REPOSITORY / "benchmarks" / "pipeline.py", *arguments, "--runs", "1", "--live", "1"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=840,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert f"enrolled: {subject(PERSON)}; found by b and c: the same people" in said
    assert f"    found: {subject(PERSON)}\n" in said
    assert f"    {scene.frames} frames; b: " in said
    for name in ("b/a", "b/c", "b/c'"):
        assert float(re.findall(rf"^  {name} +([\d.]+)", said, re.MULTILINE)[0]) > 0
    shares = [float(share) for share in re.findall(r"^    [a-z].* \d+\.\d{3} +([\d.]+) %$", said, re.MULTILINE)]
    assert sum(shares) == pytest.approx(100, abs=2)
    assert re.search(r"real time, \d+ s of the video in a loop: (capture to alert p50|no alert)", said)
