"""Three brokers that hold everything thrice, one of which can be cut off from the others or run out of disk."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import ElectionType
from confluent_kafka.admin import AdminClient

from tests.support.child import ChildFailed
from tests.support.kafka_broker import KafkaBroker

_BROKERS = 3
_DISK_MB = 640


class Refused(RuntimeError):
    """Why something cannot be done on this machine."""


def _root(*words: str | Path) -> None:
    """Runs a command that only root may run. Raises Refused."""
    if os.geteuid() != 0:
        raise Refused(f"only root may run {words[0]}")
    if shutil.which(str(words[0])) is None:
        raise Refused(f"{words[0]} is missing: install it")
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(f"{' '.join(map(str, words))}: {done.stderr.strip()}")


class Cable:
    """A network namespace, joined to this one by a pair of virtual interfaces, that can be pulled out."""

    def __init__(self) -> None:
        number = secrets.randbelow(200) + 20
        self.name = f"overt{os.getpid()}"
        self.here, self.there = f"10.87.{number}.1", f"10.87.{number}.2"
        self._end = f"ov{os.getpid()}"

    def lay(self) -> Self:
        """Raises Refused."""
        _root("ip", "netns", "add", self.name)
        _root("ip", "link", "add", self._end, "type", "veth", "peer", "name", "uplink", "netns", self.name)
        _root("ip", "addr", "add", f"{self.here}/30", "dev", self._end)
        _root("ip", "link", "set", self._end, "up")
        for words in (f"addr add {self.there}/30 dev uplink", "link set uplink up", "link set lo up"):
            _root("ip", "-n", self.name, *words.split())
        return self

    def pull(self) -> None:
        """Nothing gets through any more; nobody is told. The far end goes down: with this one the route would
        go, and what is meant for the broker would leave by the default route, where a stranger may answer.
        """
        _root("ip", "-n", self.name, "link", "set", "uplink", "down")

    def plug(self) -> None:
        """As before."""
        _root("ip", "-n", self.name, "link", "set", "uplink", "up")

    def remove(self) -> None:
        """Takes the namespace away, and the interfaces with it."""
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)


class KafkaCluster:
    """Brokers 1 to 3, each a controller, too: every topic thrice, two must have what is acknowledged.

    Where root runs it, broker 2 sits behind `cable` and broker 3 has a small disk of its own; `missing` says why not.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cable: Cable | None = None
        self.disk: Path | None = None
        self.missing: dict[str, str] = {}
        self.brokers: list[KafkaBroker] = []

    @property
    def bootstrap(self) -> str:
        """For `bootstrap.servers`."""
        return ",".join(broker.bootstrap for broker in self.brokers)

    def start(self, timeout_s: float = 120.0) -> float:
        """Starts all and waits for each; the seconds of the slowest."""
        self._make()
        for broker in self.brokers:
            broker.spawn()
        return max(broker.wait_ready(timeout_s) for broker in self.brokers)

    def _make(self) -> None:
        try:
            self.cable = Cable().lay()
        except Refused as error:
            self.missing["cable"] = str(error)
        here = self.cable.here if self.cable else "127.0.0.1"
        there = self.cable.there if self.cable else here
        cluster_id = secrets.token_urlsafe(16)
        for number in range(1, _BROKERS + 1):
            broker = KafkaBroker(self.folder / f"broker-{number}", host=there if number == 2 else here)
            broker.cluster_id = cluster_id
            self.brokers.append(broker)
        if self.cable:
            self.brokers[1].words_before = ["ip", "netns", "exec", self.cable.name]
        self._settle_settings()
        self._give_a_disk(self.brokers[2])

    def _settle_settings(self) -> None:
        voters = ",".join(f"{n}@{b.host}:{b.controller_port}" for n, b in enumerate(self.brokers, 1))
        for number, broker in enumerate(self.brokers, 1):
            broker.settings = {
                "node.id": str(number),
                "controller.quorum.voters": voters,
                "default.replication.factor": str(_BROKERS),
                "offsets.topic.replication.factor": str(_BROKERS),
                "transaction.state.log.replication.factor": str(_BROKERS),
                "min.insync.replicas": "2",
            }

    def _give_a_disk(self, broker: KafkaBroker) -> None:
        broker.data_dir.mkdir(parents=True)
        try:
            _root("mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "overt", broker.data_dir)
        except Refused as error:
            self.missing["disk"] = str(error)
        else:
            self.disk = broker.data_dir

    def leader(self, topic: str, partition: int = 0) -> KafkaBroker:
        """The broker that leads a partition now."""
        found = AdminClient({"bootstrap.servers": self.bootstrap}).list_topics(topic, timeout=10.0)
        return self.brokers[found.topics[topic].partitions[partition].leader - 1]

    def prefer(self) -> None:
        """Every partition goes back to the broker that should lead it."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})  # kept: without it the answer would never come
        admin.elect_leaders(ElectionType.PREFERRED).result(30)

    def led_by(self, broker: KafkaBroker) -> list[tuple[str, int]]:
        """Topics and partitions that a broker leads now."""
        number = self.brokers.index(broker) + 1
        found = AdminClient({"bootstrap.servers": self.bootstrap}).list_topics(timeout=10.0)
        parts = [(topic, part) for topic, told in found.topics.items() for part in told.partitions.values()]
        return [(topic, part.id) for topic, part in parts if part.leader == number]

    def revive(self) -> None:
        """Whatever happened: the cable in, every broker running."""
        if self.cable:
            self.cable.plug()
        dead = [broker for broker in self.brokers if not broker.child.running]
        for broker in dead:
            broker.spawn()
        for broker in self.brokers:
            broker.wait_ready()

    def resident_mb(self) -> float:
        """Of all that run."""
        return sum(broker.resident_mb() for broker in self.brokers if broker.child.running)

    def __enter__(self) -> Self:
        try:
            self.start()
        except ChildFailed:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        for broker in self.brokers:
            broker.kill()
        if self.cable:
            self.cable.remove()
        if self.disk:
            subprocess.run(["umount", "-l", str(self.disk)], capture_output=True, check=False)
