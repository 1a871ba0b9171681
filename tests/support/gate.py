"""Cameras that begin when a test says so: so that a run cannot be over before the fault or the replica has come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.cluster import Cluster


@contextmanager
def held_back(cluster: Cluster) -> Iterator[Callable[[str], None]]:
    """Holds the leases of all cameras, as another replica would, until they are let go by name or at the end."""
    leases, over = cluster.world.leases, threading.Event()
    held = {camera.camera_id: leases.acquire(camera.camera_id) or 0 for camera in cluster.deployment.cameras}

    def renew() -> None:
        while not over.wait(1.0):
            for camera, epoch in list(held.items()):
                leases.renew(camera, epoch)

    def let_go(camera: str) -> None:
        if camera in held:
            leases.release(camera, held.pop(camera))

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield let_go
    finally:
        over.set()
        thread.join()
        for camera in list(held):
            let_go(camera)
