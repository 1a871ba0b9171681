"""Leases of cameras while their store is away or slow, and while a thread may lose them at any moment."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from overt.picture import encode
from overt.ports import Unavailable
from overt.runtime.codec import PassingCodec
from overt.runtime.frame.lease import MemoryLeases
from overt.runtime.frame.leases import LeaseKeeper
from overt.runtime.frame.rules import CameraPlan, FrameRules
from overt.runtime.frame.service import FrameService
from tests.support.frame_site import STARTED_US, WHOLE, Site, run_beside_detector, wait_for


class AwayLater(MemoryLeases):
    """Leases whose store answers until `away` is set, and counts the calls that it then leaves without an answer."""

    away = False
    unanswered = 0

    def release(self, camera_id: str, epoch: int) -> None:
        if self.away:
            self.unanswered += 1
            raise Unavailable("no answer")
        super().release(camera_id, epoch)


def test_a_stop_asks_a_store_that_is_away_once_and_not_once_for_each_camera() -> None:
    leases = AwayLater()
    keeper = LeaseKeeper(leases, most=None, renew_s=2.0, acquire_s=1.0, monotonic=time.monotonic)
    cameras = [f"c{n}" for n in range(16)]
    assert keeper.acquire(cameras) == cameras
    leases.away = True
    keeper.stop()
    assert leases.unanswered == 1


def test_a_stop_gives_every_camera_back() -> None:
    leases = AwayLater()
    keeper = LeaseKeeper(leases, most=None, renew_s=2.0, acquire_s=1.0, monotonic=time.monotonic)
    gained = {camera: keeper.epochs[camera] for camera in keeper.acquire(["c1", "c2"])}
    keeper.stop()
    assert not keeper.epochs
    assert not any(leases.held(camera, epoch) for camera, epoch in gained.items())


class Refusing(MemoryLeases):
    """Leases of which one renewal is refused, as when Redis has lost everything meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = threading.Event()

    def renew(self, camera_id: str, epoch: int) -> bool:
        if self.refused.is_set():
            return super().renew(camera_id, epoch)
        self.refused.set()
        return False


def test_a_lost_camera_is_not_taken_again_before_the_loop_has_heard_of_the_loss() -> None:
    """Else the loop would begin a second reading of it, and end that one when it hears of the first one's loss."""
    keeper = LeaseKeeper(Refusing(), most=None, renew_s=0.0, acquire_s=0.0, monotonic=time.monotonic)
    assert keeper.acquire(["c"]) == ["c"]
    keeper.renew()
    assert keeper.acquire(["c"]) == []
    assert keeper.lost() == ["c"]
    assert keeper.acquire(["c"]) == ["c"]


class LosesWhileAsked(Refusing):
    """The thread that renews learns of the loss while the loop asks how far the file was read."""

    def read_progress(self, camera_id: str) -> int | None:
        assert self.refused.wait(30)
        time.sleep(0.05)  # until the thread has drawn the consequence
        return super().read_progress(camera_id)


def test_a_lease_that_is_lost_while_its_camera_is_begun_ends_nothing(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.png").write_bytes(encode(np.full((20, 40, 3), number, np.uint8), "png"))
    site = Site()
    service = FrameService(
        [CameraPlan("north", str(tmp_path), 0, WHOLE, started_at_us=STARTED_US)],
        FrameRules(realtime=False, renew_s=0.0, acquire_s=0.01),
        leases=LosesWhileAsked(),
        sink=site.sink,
        codec=PassingCodec(),
        frames_waiting=site.bus.backlog("frames", "detector"),
        metrics=site.metrics,
        clock=site.clock,
    )
    summary = run_beside_detector(service, site)
    assert summary["north"].failure is None
    assert [frame.frame_seq for frame in site.frames() if not frame.end] == list(range(5))


class Broken(MemoryLeases):
    """Leases of which a renewal fails as nobody expects."""

    def renew(self, camera_id: str, epoch: int) -> bool:
        raise KeyError(camera_id)


def test_a_fault_of_ours_while_renewing_ends_the_service_loudly() -> None:
    """The thread that renews would else be gone, and each camera be lost and begun anew every few seconds."""
    keeper = LeaseKeeper(Broken(), most=None, renew_s=0.0, acquire_s=0.0, monotonic=time.monotonic)
    assert keeper.acquire(["c"]) == ["c"]
    keeper.start(lambda: True)
    with pytest.raises(KeyError):
        wait_for(lambda: bool(keeper.lost()))
    keeper.stop()
