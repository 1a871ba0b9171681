"""What `make faults` does to a running cluster. Each fault strikes, and where something stays broken, mends it."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.faults_by_records import deliver_twice, flood, poison
from tests.support.netns import HERE
from tests.support.victim import Fault, Victim

_DOWN_S = 3.0
_GONE_S = 30.0
_STOPPED_S = 60.0
_PARTED_S = 20.0
_AHEAD_S = 5.0
_STEPPED_S = 20.0


def _kill(service: str) -> Callable[[Victim], None]:
    def strike(victim: Victim) -> None:
        replica = victim.cluster.service(service)
        replica.kill()
        time.sleep(_DOWN_S)
        replica.spawn()

    return strike


def _stop(service: str) -> Callable[[Victim], None]:
    def strike(victim: Victim) -> None:
        replica = victim.cluster.service(service)
        replica.freeze()
        time.sleep(_STOPPED_S)
        replica.thaw()

    return strike


def _kill_leader(victim: Victim) -> None:
    victim.struck = victim.kafka.leader(victim.cluster.world.topic("frames"))
    victim.struck.kill()
    time.sleep(_DOWN_S)


def _start_again(victim: Victim) -> None:
    assert victim.struck is not None
    victim.struck.kill()
    victim.struck.spawn()
    victim.struck.wait_ready()


def _kill_redis(victim: Victim) -> None:
    victim.redis.kill()
    time.sleep(_DOWN_S)
    victim.redis.start()


def _stop_redis(victim: Victim) -> None:
    """As if all were cut off from it: connections stay, and nothing comes."""
    victim.redis.freeze()
    time.sleep(_PARTED_S)
    victim.redis.thaw()


def _cut_off(victim: Victim) -> None:
    victim.kafka.prefer()  # one that came back leads nothing at first, and nobody would miss it
    victim.ordeal.settle()
    leads = victim.kafka.led_by(victim.kafka.brokers[1])
    assert any(topic.startswith(victim.cluster.world.prefix) for topic, _ in leads), "what is cut off leads nothing"
    victim.kafka.cut_off()
    time.sleep(_DOWN_S)


def _join_again(victim: Victim) -> None:
    victim.kafka.join()


def _part(service: str, *cables: str) -> Callable[[Victim], None]:
    """The service moves to a machine of its own, and there its cables are pulled for a while."""

    def strike(victim: Victim) -> None:
        outpost, replica = victim.kafka.outpost, victim.cluster.service(service)
        assert outpost is not None
        replica.terminate()
        replica.move(outpost.machine, outpost.watched_host, {"redis_url": victim.redis.url_at(outpost.redis_host)})
        replica.start()
        victim.ordeal.settle()
        outpost.pull(cables)
        said, until = set(), time.monotonic() + _PARTED_S
        while time.monotonic() < until:
            said.add((replica.status("/healthz"), replica.status("/readyz")))
            time.sleep(0.5)
        outpost.plug()
        assert (200, 503) in said, f"{service} was cut off and did not say that it is alive and not ready: {said}"

    return strike


def _return(service: str) -> Callable[[Victim], None]:
    """The service comes back to this machine."""

    def mend(victim: Victim) -> None:
        victim.kafka.join()
        replica = victim.cluster.service(service)
        replica.terminate()
        replica.move(HERE, "127.0.0.1", {"redis_url": victim.redis.url})
        replica.start()

    return mend


def _parted(service: str, what: str, *cables: str) -> Fault:
    name = f"{service} cut off from {what} {_PARTED_S:.0f} s"
    return Fault(name, _part(service, *cables), _return(service), lambda victim: victim.kafka.missing.get("outpost"))


def _fill_disk(victim: Victim) -> None:
    assert victim.kafka.disk is not None
    victim.struck = victim.kafka.brokers[2]
    with (victim.kafka.disk / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(1 << 16))
        except OSError:
            pass  # which is what was wanted
    gone_by = time.monotonic() + _GONE_S
    while victim.struck.child.running:
        assert time.monotonic() < gone_by, "a broker with a full disk went on as if nothing were the matter"
        time.sleep(0.2)
    time.sleep(_DOWN_S)


def _clear_disk(victim: Victim) -> None:
    assert victim.kafka.disk is not None
    (victim.kafka.disk / "filler").unlink()
    _start_again(victim)


def _step_clock(victim: Victim) -> None:
    replica = victim.cluster.service("frame")
    script = str(Path(__file__).with_name("shifted_clock.py"))
    replica.terminate()
    right = replica.child.argv
    replica.child.argv = [sys.executable, script, str(_AHEAD_S), *right[1:]]
    replica.start()
    time.sleep(_DOWN_S)
    replica.child.signal(signal.SIGUSR1)
    time.sleep(_STEPPED_S)
    replica.child.signal(signal.SIGUSR2)
    replica.child.argv = right  # of the next start


FAULTS = (
    *(Fault(f"kill -9 {s}", _kill(s)) for s in ("frame", "detector", "embedder", "matcher", "alerter")),
    Fault("kill -9 the leader broker", _kill_leader, _start_again),
    Fault("kill -9 Redis, empty after", _kill_redis),
    Fault("a broker cut off", _cut_off, _join_again, lambda victim: victim.kafka.missing.get("cable")),
    Fault("a broker's disk full", _fill_disk, _clear_disk, lambda victim: victim.kafka.missing.get("disk")),
    *(_parted(s, "Kafka", "kafka", "broker") for s in ("frame", "detector", "embedder", "alerter")),
    *(_parted(s, "Redis", "redis") for s in ("frame", "detector", "embedder", "alerter")),
    Fault("clock of frame +5 s, back", _step_clock),
    *(Fault(f"SIGSTOP {s} 60 s", _stop(s)) for s in ("detector", "embedder", "alerter", "frame")),
    Fault(f"SIGSTOP Redis {_PARTED_S:.0f} s", _stop_redis),
    Fault("10 s delivered twice", deliver_twice),
    Fault("poison in every topic", poison),
    Fault("ten times the frames, 60 s", flood),
)
