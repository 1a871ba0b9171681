"""Benchmarks measure what there is: they use what is public, and count what a worker is told."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from overt.runtime.memory import MemoryBus
from overt.runtime.metrics import Metrics
from tests.support.bus import Listener

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def scaling(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """A module of `benchmarks/scaling`."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in [name for name in sys.modules if name.split(".")[0] == "scaling"]:
        monkeypatch.delitem(sys.modules, name)
    return lambda name: importlib.import_module(f"scaling.{name}")


@pytest.mark.parametrize("path", sorted(BENCHMARKS.rglob("*.py")), ids=lambda path: path.name)
def test_a_benchmark_looks_into_nothing_private(path: Path) -> None:
    """Its own `self` apart: what a part calls its own can change and nobody would see what is measured then."""
    seen = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
        if ast.unparse(node.value) not in ("self", "cls")
    ]
    assert not seen


def test_a_replica_counts_what_it_holds_and_what_the_bus_has_taken(scaling: Callable[[str], ModuleType]) -> None:
    replica, bus = scaling("replica"), MemoryBus(lambda: 0)
    bus.create("frames", 4)
    shared = SimpleNamespace(done=[0] * 4, assigned=[0, 0])
    one, other = (replica.Counted(bus.source("detectors"), shared, number) for number in (0, 1))
    hearing = Listener()
    one.subscribe(["frames"], hearing)
    one.poll(1, 0.0)
    assert (shared.assigned, len(hearing.owned)) == ([4, 0], 4), "its worker is told, too"
    other.subscribe(["frames"], Listener())
    for source in (one, other, one, other):
        source.poll(1, 0.0)
    assert shared.assigned == [2, 2]
    sink = bus.sink()
    for _ in range(3):
        sink.produce("frames", key="c1", value=b"", partition=min(hearing.owned)[1])
    records = one.poll(3, 1.0)
    assert shared.done == [0] * 4
    one.commit(records[:2])
    assert sorted(shared.done) == [0, 0, 0, 2]


def test_the_stages_seconds_are_those_of_the_metric(scaling: Callable[[str], ModuleType]) -> None:
    replica, metrics = scaling("replica"), Metrics()
    assert replica.stage_s(metrics) == 0
    for seconds in (0.25, 0.5):
        metrics.batch_seconds.labels("detector").observe(seconds)
    assert replica.stage_s(metrics) == 0.75


def test_no_bar_of_the_plot_is_behind_its_legend(scaling: Callable[[str], ModuleType]) -> None:
    pytest.importorskip("matplotlib", reason="plots need the extra overt[evaluation]")
    trial, parts = scaling("trial"), scaling("timed").PARTS
    short, long = (
        trial.Result(16, 64, 100, 8.0, 0.04, dict.fromkeys(parts, spent_s), 4.0, 0.001, 0.001, 0.001, 0.001, 0.0, 0.0)
        for spent_s in (0.05, 0.1)
    )
    figure = scaling("plot").draw([short, long])
    figure.draw_without_rendering()  # which lays it out
    (legend,), (axes,) = figure.legends, figure.axes
    assert not legend.get_window_extent().overlaps(axes.get_window_extent())
    assert axes.get_window_extent().width > 300
    assert [text.get_text() for text in legend.get_texts()] == ["woken late", *parts[1:], "loop"]
