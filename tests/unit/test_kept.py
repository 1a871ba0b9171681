"""What the short form of the faults judges memory by: what a process keeps of each item that it has worked off."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cluster import Cluster
from tests.support.growth import Reading, kept_an_item
from tests.support.heaps import MOST_KEPT_KB, Heaps, in_use_kb, most_kept_kb, observed

CROP_KB = 112 * 112 * 3 / 1000
VECTOR_KB = 0.9
FACES = 450.0
STEPS_KB = ((30.0, 143_000.0), (200.0, 138_000.0), (310.0, 8_000.0))
"""Of an embedder that got larger and larger batches."""
MOST_KB = MOST_KEPT_KB["embedder"]


def _three_minutes(
    kept_kb: float, seed: int, *, faces: float = FACES, steps: tuple[tuple[float, float], ...] = ()
) -> list[Reading]:
    """A reading a second, as an embedder's: faces come when they like, some are in hand, and it goes on warming up."""
    draw = random.Random(seed)
    came = sorted(draw.uniform(0, 180) for _ in range(int(faces)))
    readings = []
    for second in range(1, 181):
        items = float(sum(at <= second for at in came))
        in_hand = draw.expovariate(1 / 3_000) if draw.random() < 0.4 else 0.0
        taken = sum(size for at, size in steps if items >= at)
        warm = 100 * (1 - math.exp(-second / 60))
        readings.append((items, 60_000 + warm + kept_kb * items + taken + in_hand + draw.gauss(0, 5)))
    return readings


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kept_kb", [CROP_KB, VECTOR_KB])
def test_a_crop_or_a_vector_kept_of_each_face_is_seen_beside_steps(kept_kb: float, seed: int) -> None:
    assert MOST_KB < kept_an_item(_three_minutes(kept_kb, seed, steps=STEPS_KB)) < 1.25 * kept_kb + MOST_KB


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("steps", [(), STEPS_KB, ((220.0, -30_000.0),)])
def test_steps_and_what_is_in_hand_are_not_kept(steps: tuple[tuple[float, float], ...], seed: int) -> None:
    assert abs(kept_an_item(_three_minutes(0.0, seed, steps=steps))) < MOST_KB


@given(
    kept_kb=st.floats(0, 100),
    steps=st.lists(st.tuples(st.integers(0, 240), st.floats(0, 50_000)), max_size=5),
)
def test_five_steps_up_wherever_they_are_change_nothing(kept_kb: float, steps: list[tuple[int, float]]) -> None:
    held = [(float(at), 90_000 + kept_kb * at + sum(size for when, size in steps if at >= when)) for at in range(241)]
    assert kept_an_item(held) == pytest.approx(kept_kb, abs=1e-6)


def test_where_few_items_came_each_may_take_its_share_of_warming_up_and_a_crop_is_seen_all_the_same() -> None:
    assert most_kept_kb("embedder", FACES) == MOST_KB < VECTOR_KB
    assert most_kept_kb("embedder", 100) < CROP_KB / 20


def test_what_came_all_at_once_is_a_part_without_a_reading() -> None:
    held = [(float(at), 7.0 * at) for at in range(241) if not 41 <= at <= 119]
    assert kept_an_item(held) == pytest.approx(7.0, rel=0.1)


@pytest.mark.parametrize("readings", [[], [(5.0, 1.0)], [(5.0, 1.0), (5.0, 2.0)], [(0.0, 1.0), (100.0, 2.0)]])
def test_too_few_readings_show_nothing(readings: list[Reading]) -> None:
    with pytest.raises(ValueError, match=r"readings?[,:]"):
        kept_an_item(readings)


def test_judged_are_the_last_minutes_of_the_process_that_ran_last(tmp_path: Path) -> None:
    heaps = Heaps(cast(Cluster, None), tmp_path)
    heaps.readings["matcher-0", 9] = [(float(at), (2.0 * at, 500.0 * at)) for at in range(100)]
    warming = [(100.0 + at, (2.0 * at, 300.0 * at)) for at in range(60)]
    heaps.readings["matcher-0", 3] = warming + [(160.0 + at, (120.0 + 2.0 * at, 18_000.0 + at)) for at in range(181)]
    [(name, (items, kept_kb))] = heaps.worked_off(180.0).items()
    assert (name, items) == ("matcher-0", 360.0)
    assert kept_kb == pytest.approx(0.5, rel=0.1)


HOARDER = """
import sys
import numpy as np
kept = []
for line in sys.stdin:
    kept += [np.zeros((112, 112, 3), np.uint8) for _ in range(int(line))]
    print(len(kept), flush=True)
"""


def test_a_process_tells_what_it_keeps_to_the_kilobyte_and_not_what_it_has_freed(tmp_path: Path) -> None:
    code = HOARDER.replace("int(line))]", "int(line))]; bytearray(50_000_000)")
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **observed(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        held_kb = []
        for count in (1, 100):
            child.stdin.write(f"{count}\n")
            child.stdin.flush()
            child.stdout.readline()
            held_kb.append(_settled_kb(tmp_path, child.pid))
        child.stdin.close()
    assert held_kb[1] - held_kb[0] == pytest.approx(100 * CROP_KB, rel=0.02)


def _settled_kb(folder: Path, pid: int) -> float:
    """What is told once it was the same for longer than the second of which it is the least."""
    same: list[float] = []
    while len(same) < 8:
        time.sleep(0.2)
        now_kb = in_use_kb(folder, pid)
        same = [*same, now_kb] if not same or abs(now_kb - same[0]) < 20 else []
    return same[0]
