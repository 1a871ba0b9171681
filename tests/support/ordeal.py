"""A running cluster, its witness, and what it is made to suffer: when each fault began and when all had caught up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from overt.ports import Unavailable
from overt.runtime.world import now_us
from tests.support import embedded
from tests.support.cluster import CHAIN, Cluster
from tests.support.scenes import PEOPLE, Scenes, TestScene
from tests.support.witness import Witness

COOLDOWN_S = 20
KEY_LIFE_S = 30
LISTED = PEOPLE[:20]
S = 1_000_000
_CALM_S = 10.0
_STEADY_S = 2.0
_TO_SPARE = 0.1
"""How far above the threshold a person must come where nothing fails to be waited for."""


def street(scenes: Scenes) -> dict[str, TestScene]:
    """Two cameras that everybody of `PEOPLE` walks past, in turn."""
    return {
        "north": scenes.walk(PEOPLE, every_s=3.0, fps=8.0, seed=5),
        "south": scenes.walk(PEOPLE[::-1], every_s=3.0, fps=8.0, seed=6),
    }


@dataclass
class Outage:
    """From the fault until everything has caught up, in wall-clock microseconds."""

    what: str
    from_us: int
    until_us: int = 0
    recovered_s: float = 0.0
    """From the fault's end, or where something stays broken from its beginning, until everything had caught up."""

    @property
    def seconds(self) -> float:
        return (self.until_us - self.from_us) / S


@dataclass
class Ordeal:
    """A cluster under test, with its witness and the outages so far."""

    cluster: Cluster
    witness: Witness
    outages: list[Outage] = field(default_factory=list)
    settled_us: int = 0
    """When everything ran for the first time; who passed before may have met a service that was still loading."""
    shed_us: list[int] = field(default_factory=list)
    """When the detectors were seen to have shed frames since the look before."""
    shed: int = 0
    _shed: dict[str, float] = field(default_factory=dict)

    def suffer(
        self, what: str, fault: Callable[[], None], mend: Callable[[], None] | None = None, settle_s: float = 90.0
    ) -> Outage:
        """The fault, the wait until everything has caught up, what mends it and another wait, and some seconds in which
        people pass undisturbed."""
        outage = Outage(what, now_us() - S // 2)
        self.outages.append(outage)
        fault()
        over = time.monotonic()
        self.settle(settle_s)
        outage.recovered_s = time.monotonic() - over - _STEADY_S
        if mend is not None:
            mend()
            self.settle(settle_s)
        outage.until_us = now_us() + S // 2
        print(f"{what:<22} {outage.seconds:5.1f} s until everything had caught up", flush=True)
        self.calm()
        return outage

    def calm(self, seconds: float = _CALM_S) -> None:
        """Lets people pass."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._look_for_shedding()
            time.sleep(0.5)
        self._look_for_shedding()

    def _look_for_shedding(self) -> None:
        for replica in self.cluster.replicas("detector"):
            shed = replica.scrape().total("overt_frames_shed_total")
            before = self._shed.get(replica.name, 0.0)
            if shed > before:
                self.shed_us.append(now_us())
            self.shed += int(shed - before if shed >= before else shed)  # a new process counts from 0
            self._shed[replica.name] = shed

    def settle(self, timeout_s: float = 90.0) -> None:
        """Until, for two seconds on end, every replica is ready, frames arrive and nobody is behind."""
        deadline, since = time.monotonic() + timeout_s, time.monotonic()
        while time.monotonic() - since < _STEADY_S:
            assert time.monotonic() < deadline, f"not settled within {timeout_s} s\n{self.cluster.describe()}"
            time.sleep(0.2)
            if not self._keeps_up():
                since = time.monotonic()
        self.settled_us = self.settled_us or now_us()

    def _keeps_up(self) -> bool:
        ready = all(replica.status("/readyz") == 200 for replica in self.cluster.replicas())
        frames_arrive = abs(now_us() - self.witness.newest_us) < S  # nor from the future, should a clock step
        try:
            return ready and frames_arrive and max(self.cluster.lag(service) for service, _ in CHAIN) <= 4
        except Unavailable:  # for whoever asks, too, a leader must first be found
            return False

    def inside(self, from_us: int, until_us: int, slack_us: int = 0) -> bool:
        return any(o.from_us - slack_us < until_us and from_us < o.until_us + slack_us for o in self.outages)

    def plant(self, values: Iterable[bytes]) -> None:
        """These records are nobody's: whoever looks at the topics leaves them out."""
        self.witness.planted.update(values)
        self.cluster.planted.update(values)

    def frame_log(self) -> str:
        """What the frame services have said."""
        return "".join(path.read_text() for path in self.cluster.folder.glob("frame-*.log"))


def recognised(cluster: Cluster, test_data: Path, cameras: Mapping[str, TestScene]) -> set[tuple[str, str]]:
    """Camera and subject of the passes that are alerted on with something to spare where nothing fails: what the models
    can do here. Over Kafka the frames are JPEG, here they are not: a hair above the threshold is no promise."""
    once = tuple(c.model_copy(update={"loop": False}) for c in cluster.deployment.cameras if c.camera_id in cameras)
    run = embedded.run(cluster.deployment.model_copy(update={"cameras": once}), embedded.settings(test_data))
    return {(a.camera_id, a.subject_id) for a in run.alerts if a.similarity >= a.threshold + _TO_SPARE}
