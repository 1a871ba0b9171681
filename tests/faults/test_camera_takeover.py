"""Two replicas of the camera service and real leases: one reads, and the other goes on when the first is gone."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from overt.picture import encode
from tests.support.child import Child
from tests.support.frame_site import wait_for
from tests.support.redis_server import RedisServer

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "tests" / "support" / "frame_process.py"


class Replica:
    """One process, and the lines that it wrote."""

    def __init__(self, name: str, folder: Path, redis_url: str, source: Path, *, realtime: bool) -> None:
        self.out = folder / f"{name}.txt"
        words = [sys.executable, str(SCRIPT), redis_url, str(source), "1" if realtime else "0", str(self.out)]
        env = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'services'}{os.pathsep}{REPOSITORY}"}
        self.child = Child(words, log_path=folder / f"{name}.log", env=env)

    def frames(self) -> list[tuple[int, int, int, int]]:
        """(source_epoch, frame_seq, end, wall clock in us) of what it has sent."""
        if not self.out.exists():
            return []
        lines = [line.split() for line in self.out.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [(int(a), int(b), int(c), int(d)) for a, b, c, d in lines]


@pytest.fixture
def replicas(request: pytest.FixtureRequest, redis_server: RedisServer, tmp_path: Path) -> Iterator[list[Replica]]:
    """Two of them on a looped folder; the first has begun to read, the second waits."""
    images = tmp_path / "images"
    images.mkdir()
    for number in range(20):
        (images / f"{number}.png").write_bytes(encode(np.full((8, 8, 3), number, np.uint8), "png"))
    both = [Replica(n, tmp_path, redis_server.url, images, realtime=request.param) for n in ("one", "two")]
    try:
        both[0].child.spawn()
        wait_for(lambda: len(both[0].frames()) >= 10, 60)
        both[1].child.spawn()
        time.sleep(2.0)
        yield both
    finally:
        for replica in both:
            replica.child.kill()


@pytest.mark.parametrize("replicas", [True], ids=["real time"], indirect=True)
def test_a_killed_replica_is_followed_within_ten_seconds_under_a_higher_number(replicas: list[Replica]) -> None:
    """kill -9. Until then the other sent nothing; its numbers begin at 0 under an epoch that fences the first."""
    first, second = replicas
    assert second.frames() == []
    first.child.kill()
    killed_us = time.time_ns() // 1000
    wait_for(lambda: len(second.frames()) >= 5)
    epoch, seq, _, at_us = second.frames()[0]
    print(f"taken over after {(at_us - killed_us) / 1e6:.1f} s")
    assert (at_us - killed_us) / 1e6 < 10
    assert seq == 0
    assert epoch > max(frame[0] for frame in first.frames())


@pytest.mark.parametrize("replicas", [True], ids=["real time"], indirect=True)
def test_a_replica_that_slept_past_its_lease_sends_nothing_when_it_wakes(replicas: list[Replica]) -> None:
    """SIGSTOP for longer than the lease, then SIGCONT: the other has taken over, and the first finds that out before it
    sends one more frame of its old epoch (what was being written when it was stopped may be finished)."""
    first, second = replicas
    first.child.freeze()
    wait_for(lambda: len(second.frames()) >= 5)
    before = len(first.frames())
    first.child.thaw()
    time.sleep(2.0)
    assert len(first.frames()) - before <= 1
    assert first.child.running
    assert min(frame[0] for frame in second.frames()) > max(frame[0] for frame in first.frames())
    taken = len(second.frames())
    wait_for(lambda: len(second.frames()) > taken)


@pytest.mark.parametrize("replicas", [False], ids=["batch"], indirect=True)
def test_a_batch_goes_on_without_a_gap_after_a_kill_and_after_a_stop(replicas: list[Replica]) -> None:
    """Epoch 1 for ever. After SIGTERM the next image follows; after kill -9 some may come twice, none is left out."""
    first, second = replicas
    first.child.signal(signal.SIGTERM)
    assert first.child.wait(20) == 0
    stopped_at = first.frames()[-1][1]
    wait_for(lambda: len(second.frames()) >= 20)
    assert second.frames()[0][1] == stopped_at + 1
    second.child.kill()
    killed_at = second.frames()[-1][1]
    first.child.spawn()
    wait_for(lambda: first.frames()[-1][1] > killed_at + 20)
    sent = first.frames() + second.frames()
    assert {frame[0] for frame in sent} == {1}
    assert not any(end for _, _, end, _ in sent)
    numbers = {frame[1] for frame in sent}
    assert numbers == set(range(max(numbers) + 1))
