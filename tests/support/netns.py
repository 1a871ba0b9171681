"""Network namespaces: machines of their own on this one, joined by cables that can be pulled out. Only root may."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


class Refused(RuntimeError):
    """Why something cannot be done on this machine."""


def as_root(*words: str | Path) -> None:
    """Runs a command that only root may run. Raises Refused."""
    if os.geteuid() != 0:
        raise Refused(f"only root may run {words[0]}")
    if shutil.which(str(words[0])) is None:
        raise Refused(f"{words[0]} is missing: install it")
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(f"{' '.join(map(str, words))}: {done.stderr.strip()}")


@dataclass(frozen=True)
class Machine:
    """A network namespace by its name; without one, that of this process."""

    name: str = ""

    def add(self) -> None:
        """Makes it, with a loopback. Raises Refused."""
        as_root("ip", "netns", "add", self.name)
        self.ip("link set lo up")

    def remove(self) -> None:
        """Takes it away, and its ends of cables, and with them the cables."""
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)

    def ip(self, words: str) -> None:
        """`ip` in it. Raises Refused."""
        as_root("ip", *(("-n", self.name) if self.name else ()), *words.split())

    @property
    def words_before(self) -> list[str]:
        """What is put before a command that is to run in it."""
        return ["ip", "netns", "exec", self.name] if self.name else []


HERE = Machine()


@dataclass(frozen=True)
class Net:
    """10.87.`number`.0/24, of which each cable has four addresses."""

    number: int

    def pair(self, cable: int) -> tuple[str, str]:
        """The addresses of a cable's two ends."""
        return tuple(f"10.87.{self.number}.{4 * cable + end}" for end in (1, 2))  # type: ignore[return-value]  # two


@dataclass(frozen=True)
class Cable:
    """A pair of virtual interfaces between two machines, `near` and `far`."""

    name: str
    near: Machine
    far: Machine
    here: str
    """The near end's address."""
    there: str

    def lay(self) -> None:
        """Raises Refused."""
        far = f" netns {self.far.name}" if self.far.name else ""
        self.near.ip(f"link add {self.name} type veth peer name {self._other}{far}")
        for machine, end, address in ((self.near, self.name, self.here), (self.far, self._other, self.there)):
            machine.ip(f"addr add {address}/30 dev {end}")
            machine.ip(f"link set {end} up")

    def pull(self, at: Machine) -> None:
        """Nothing gets through any more. `at` loses its routes through it, and knows; the other goes on sending, and
        nobody tells it."""
        at.ip(f"link set {self._end(at)} down")

    def plug(self, at: Machine) -> None:
        """As before `pull`."""
        at.ip(f"link set {self._end(at)} up")

    def reach(self, address: str) -> None:
        """From the far machine, `address` of the near one is reached through this cable."""
        self.far.ip(f"route add {address}/32 via {self.here} dev {self._other}")

    @property
    def _other(self) -> str:
        return f"{self.name}x"

    def _end(self, of: Machine) -> str:
        return self.name if of == self.near else self._other


@dataclass
class Outpost:
    """A machine for one service: a cable to Kafka's brokers here, one to the broker that is a machine of its own, one
    to Redis, and one that stays, by which the service is watched. They are pulled at the other end, so that to the
    service it is silence."""

    net: Net
    behind: Machine
    """Where broker 2 is."""
    brokers: tuple[str, str]
    """Addresses of the brokers here, and of that one."""
    machine: Machine = field(default_factory=lambda: Machine(f"overt{os.getpid()}s"))

    def __post_init__(self) -> None:
        near = {"kafka": HERE, "broker": self.behind, "redis": HERE, "watch": HERE}
        self._cables = {
            what: Cable(f"ov{os.getpid()}{what[0]}", machine, self.machine, *self.net.pair(number))
            for number, (what, machine) in enumerate(near.items(), 1)
        }

    def lay(self) -> None:
        """Raises Refused."""
        self.machine.add()
        # While a cable is out, what is meant for its end must not leave by this machine's default route.
        HERE.ip(f"route add blackhole 10.87.{self.net.number}.0/24")
        for cable in self._cables.values():
            cable.lay()
        for what, address in zip(("kafka", "broker"), self.brokers, strict=True):
            self._cables[what].reach(address)

    def remove(self) -> None:
        """Takes all of it away."""
        self.machine.remove()
        if os.geteuid() == 0:
            words = ["ip", "route", "del", "blackhole", f"10.87.{self.net.number}.0/24"]
            subprocess.run(words, capture_output=True, check=False)

    @property
    def redis_host(self) -> str:
        """Where Redis must listen, too."""
        return self._cables["redis"].here

    @property
    def watched_host(self) -> str:
        """Where the service's metrics are."""
        return self._cables["watch"].there

    def pull(self, what: Sequence[str]) -> None:
        """Some of the cables `kafka`, `broker`, `redis`."""
        for one in what:
            self._cables[one].pull(self._cables[one].near)

    def plug(self) -> None:
        """All of them."""
        for cable in self._cables.values():
            cable.plug(cable.near)
