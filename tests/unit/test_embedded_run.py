"""How a run in one process ends: every alert handed over, a stage that fails named, nothing waited for without end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from overt.demo.deployments import own_deployment
from overt.messages import Alert, Authority, Kind
from overt.picture import Picture
from overt.runtime.embedded import EmbeddedRun, StageFailed
from overt.runtime.frame.rules import CameraSummary
from overt.runtime.memory import MemoryBus
from overt.runtime.world import World, memory_world
from tests.unit.test_memory_bus import consumer

Run = Callable[[threading.Event], object]


def wait(stop: threading.Event) -> None:
    stop.wait(60)


class Loop:
    """A worker or a camera service that does what the test wants."""

    def __init__(self, run: Run = wait) -> None:
        self.run = run
        self.last_turn_s = time.monotonic()

    def ready(self) -> bool:
        return True

    def detector_caught_up(self) -> None: ...

    def summary(self) -> Mapping[str, CameraSummary]:
        return {}


class Bench:
    """In the place of the wiring: loops by the name of their stage."""

    def __init__(self, world: World, **runs: Run) -> None:
        self.world = world
        self.loops = {
            name: Loop(runs.get(name, wait)) for name in ("frame", "detector", "embedder", "matcher", "alerter")
        }

    def frame_service(self) -> Loop:
        return self.loops["frame"]

    def worker(self, stage: str, observe: object) -> Loop:
        del observe
        return self.loops[stage]


def made(folder: Path, **runs: Run) -> tuple[Bench, MemoryBus]:
    world, bus = memory_world(own_deployment("usb:0", folder))
    return Bench(world, **runs), bus


def embedded(
    bench: Bench, bus: MemoryBus, on_alert: Callable[[Alert], None] = lambda _: None, drain_s: float = 10.0
) -> EmbeddedRun:
    return EmbeddedRun(bench, bus, [], on_alert=on_alert, drain_s=drain_s)  # type: ignore[arg-type]  # a bench is enough


def alert(number: int) -> Alert:
    face = Picture(bgr=np.zeros((2, 2, 3), np.uint8))
    times = {"captured_at_us": number, "alerted_at_us": number}
    return Alert(
        f"a{number}", "d", "s", "c", "z", 1, number, 0, f"t{number}", **times, subject_id="A", entry_id="e",
        category="x", kind=Kind.WANTED, similarity=1.0, threshold=0.9, margin=None, space_id="m/1", confirmations=1,
        authority=Authority.UNSIGNED, probe_image=face, context=None,
    )  # fmt: skip


def test_every_alert_is_handed_over_however_many_come_at_the_end(tmp_path: Path) -> None:
    """The alerter is stopped in the middle of a crowd; what it has made by then is not left on the bus."""
    crowd = [alert(number) for number in range(350)]

    def at_the_end(stop: threading.Event) -> None:
        stop.wait(60)
        sink = bus.sink()
        for one in crowd:
            sink.produce("alerts", key="d", value=one)

    bench, bus = made(tmp_path, frame=lambda stop: None, alerter=at_the_end)
    handed: list[Alert] = []
    embedded(bench, bus, handed.append).run(threading.Event())
    assert [one.alert_id for one in handed] == [one.alert_id for one in crowd]


def test_a_stage_that_fails_is_named_and_ends_the_run(tmp_path: Path) -> None:
    def fail(stop: threading.Event) -> None:
        raise KeyError("who it was about")

    bench, bus = made(tmp_path, embedder=fail)
    with pytest.raises(StageFailed, match=r"^embedder .*KeyError") as caught:
        embedded(bench, bus).run(threading.Event())
    assert "who it was about" not in str(caught.value)
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_run_that_is_stopped_does_not_wait_for_ever_for_a_stage_that_rests(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A partition that rests after too many rejects would else hold a run for half a minute at a time."""
    bench, bus = made(tmp_path, frame=lambda stop: stop.wait(60))
    group = bench.world.group("detector")
    consumer(bus, "frames", group)
    bus.sink().produce("frames", key="c", value=None, partition=0)
    stop = threading.Event()
    stop.set()
    embedded(bench, bus, drain_s=0.3).run(stop)
    assert "1 record" in caplog.text


def test_a_run_is_healthy_while_all_of_its_loops_turn(tmp_path: Path) -> None:
    bench, bus = made(tmp_path)
    run = embedded(bench, bus)
    assert run.healthy()
    bench.loops["matcher"].last_turn_s -= 3600
    assert not run.healthy()
