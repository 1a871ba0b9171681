"""Keeping leases while their store is away: nobody waits once for each camera."""

from __future__ import annotations

import time

from overt.ports import Unavailable
from overt.runtime.frame_leases import LeaseKeeper
from overt.runtime.lease import MemoryLeases


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
