"""What following frames costs (OVERT_OTLP_ENDPOINT): CPU time of a frame that is sent, and of its record worked off.

The product's own outbox and loop on a bus of this process's memory, with a stage that does nothing but yield an
embedding of each frame: no frame is followed, one of ten, every one, in turn. CPU time is the whole process's, so that
of the thread which sends spans counts, and that of the collector, another process, does not. Spans that did not arrive
are told: what is dropped costs nothing.

Needs the extra `tracing`, and what the tests need.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import click

from overt.runtime.otlp import OtlpTracing
from overt.runtime.tracing import NO_TRACING, Tracing

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the tests' collector and samples

from tests.support.collector import Collector  # after the path is known
from tests.support.flow import Flow, frame, seen

_AT_ONCE = 4  # as the detector takes them
_QUEUE_SPANS = 2048  # OpenTelemetry's default; what comes while it is full is dropped
_SPANS_EACH = 2  # one is sent, one is worked off


@click.command(help=__doc__)
@click.option(
    "--frames",
    type=click.IntRange(10, _QUEUE_SPANS // _SPANS_EACH),
    default=1000,
    show_default=True,
    help="In a round.",
)
@click.option("--rounds", type=click.IntRange(1), default=15, show_default=True, help="Of each kind; medians count.")
def main(frames: int, rounds: int) -> None:
    """See the module."""
    kinds = {"no frame is followed": None, "one frame of ten": 0.1, "every frame": 1.0}
    spent_us: dict[str, list[float]] = {name: [] for name in kinds}
    arrived = dict.fromkeys(kinds, 0)
    with _collector() as (url, spans):
        for number in range(rounds + 1):
            for name, share in kinds.items():
                before = spans()
                took_us = _round(frames, share, url)
                if number:  # the first warms everything up
                    spent_us[name].append(took_us)
                    arrived[name] += spans() - before
    bare_us = median(spent_us["no frame is followed"])
    print(f"{rounds} rounds of {frames} frames; CPU time of a frame sent and worked off, in microseconds")
    print("                         median  least   most  to without  spans that arrived of a frame")
    for name, each in spent_us.items():
        print(
            f"{name:20} {median(each):10.0f} {min(each):6.0f} {max(each):6.0f} {median(each) / bare_us:12.2f}"
            f" {arrived[name] / (rounds * frames):30.2f}"
        )


def _round(frames: int, share: float | None, url: str) -> float:
    """CPU time of each frame in microseconds, sending the last spans included."""
    sending, working = _tracing("frame", share, url), _tracing("detector", share, url)
    flow = Flow(seen, tracing=working, frames=sending)
    began = time.process_time()
    for seq in range(0, frames, _AT_ONCE):
        flow.send(*(frame(one) for one in range(seq, min(seq + _AT_ONCE, frames))))
        flow.worker.turn()
    for tracing in (sending, working):
        tracing.close()
    return (time.process_time() - began) / frames * 1e6


def _tracing(service: str, share: float | None, url: str) -> Tracing:
    return NO_TRACING if share is None else OtlpTracing(service, url, share=share)


@contextmanager
def _collector() -> Iterator[tuple[str, Any]]:
    """Its address, and what tells how many spans it has taken."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_collect, args=(there,), daemon=True)
    process.start()

    def spans() -> int:
        here.send(None)
        return int(here.recv())

    try:
        yield here.recv(), spans
    finally:
        process.kill()
        process.join()


def _collect(pipe: Any) -> None:
    with Collector() as collector:
        pipe.send(collector.url)
        while True:
            pipe.recv()
            pipe.send(len(collector.spans()))


if __name__ == "__main__":
    main()
