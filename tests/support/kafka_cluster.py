"""Three brokers that hold everything thrice, one of which can be cut off from the others or run out of disk."""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import ElectionType
from confluent_kafka.admin import AdminClient

from tests.support.child import ChildFailed
from tests.support.kafka_broker import KafkaBroker
from tests.support.netns import HERE, Cable, Machine, Net, Outpost, Refused, as_root

_BROKERS = 3
_DISK_MB = 640


class KafkaCluster:
    """Brokers 1 to 3, each a controller, too: every topic thrice, two must have what is acknowledged.

    Where root runs it, broker 2 is a machine of its own behind `cable`, broker 3 has a small disk of its own, and
    `outpost` is a machine for a service; `missing` says why not.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machine = Machine(f"overt{os.getpid()}")
        """Where broker 2 is."""
        self.cable: Cable | None = None
        self.outpost: Outpost | None = None
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
        self._lay_cables(Net(secrets.randbelow(200) + 20))
        here = self.cable.here if self.cable else "127.0.0.1"
        there = self.cable.there if self.cable else here
        cluster_id = secrets.token_urlsafe(16)
        for number in range(1, _BROKERS + 1):
            broker = KafkaBroker(self.folder / f"broker-{number}", host=there if number == 2 else here)
            broker.cluster_id = cluster_id
            self.brokers.append(broker)
        if self.cable:
            self.brokers[1].words_before = self.machine.words_before
        self._settle_settings()
        self._give_a_disk(self.brokers[2])

    def _lay_cables(self, net: Net) -> None:
        cable = Cable(f"ov{os.getpid()}", HERE, self.machine, *net.pair(0))
        try:
            self.machine.add()
            cable.lay()
        except Refused as error:
            self.missing |= dict.fromkeys(("cable", "outpost"), str(error))
            return
        self.cable = cable
        outpost = Outpost(net, self.machine, (cable.here, cable.there))
        try:
            outpost.lay()
        except Refused as error:
            outpost.remove()
            self.missing["outpost"] = str(error)
        else:
            self.outpost = outpost

    def cut_off(self) -> None:
        """Broker 2 hears nothing any more. It knows; what is meant for it gets no answer."""
        assert self.cable is not None
        self.cable.pull(self.machine)

    def join(self) -> None:
        """Everybody hears everybody again."""
        if self.cable:
            self.cable.plug(self.machine)
        if self.outpost:
            self.outpost.plug()

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
                "log.retention.check.interval.ms": "10000",  # as docs/architecture.md asks of an operator
            }

    def _give_a_disk(self, broker: KafkaBroker) -> None:
        broker.data_dir.mkdir(parents=True)
        try:
            as_root("mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "overt", broker.data_dir)
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
        """Whatever happened: the cables in, every broker running."""
        self.join()
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
        if self.outpost:
            self.outpost.remove()
        self.machine.remove()
        if self.disk:
            subprocess.run(["umount", "-l", str(self.disk)], capture_output=True, check=False)
