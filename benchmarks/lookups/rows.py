"""One list, looked up exactly and with an index: a line of the table for each. Runs in a process of its own, so that
memory is what this list takes."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookups.vectors import Real, Vectors, padded_batches, random_batches
from overt.matcher.exact import search_exactly
from overt.matcher.hnsw import HnswIndex, library, search_indexed
from overt.matcher.recall import Copies, Recall, measure, most_misses
from overt.matcher.rows import Rows
from overt.messages import Kind, WatchlistEntry
from overt.picture import Picture
from overt.ports import Candidate

Search = Callable[[Vectors, Sequence[int]], Sequence[Sequence[Candidate]]]
_NO_PICTURE = Picture(encoded=b"")
_BATCH = 64
_SUBJECTS = 4
_STOCK_EF = 10
_EFS = (32, 64, 96, 128, 192, 256, 384, 512)
_TARGET = 0.999


@dataclass(frozen=True)
class Task:
    """What to measure, as it is handed to the process."""

    entries: int
    dimension: int
    real: Real | None
    probes: int
    threshold: float
    links: int
    width: int
    threads: int
    index: bool
    seconds: float
    """How long each kind of look-up is timed, at most."""


@dataclass(frozen=True)
class Line:
    """A line of the table. Milliseconds are of one look-up; in a batch, its share of the batch."""

    answer: str
    memory_mb: float
    build_s: float
    recall: Recall | None
    mates: str
    single_ms: tuple[float, float]
    batched_ms: tuple[float, float]


def lines(task: Task) -> list[Line]:
    """Measures a list."""
    real = task.real
    before_mb, began_s = _resident_mb(), time.perf_counter()
    rows = _load(task, real)
    took_s, memory_mb = time.perf_counter() - began_s, _resident_mb() - before_mb
    _say(f"{task.entries} entries are in; degraded copies")
    known = _copies(rows, task, 1)
    mates = _mates(rows, real) if real is not None else None

    def exact(probes: Vectors, at_us: Sequence[int]) -> Sequence[Sequence[Candidate]]:
        return search_exactly(rows, probes, _SUBJECTS, at_us)

    done: list[Line] = []

    def add(line: Line) -> None:
        _say(f"{task.entries} entries: {line}")  # whoever interrupts a long measurement keeps what was measured
        done.append(line)

    add(Line("exact", memory_mb, took_s, None, "", *_timed(exact, known, task.seconds)))
    if not task.index or library() is None:
        return done
    before_mb, began_s = _resident_mb(), time.perf_counter()
    index = _build(task, rows)
    took_s, memory_mb = time.perf_counter() - began_s, _resident_mb() - before_mb

    def indexed(probes: Vectors, at_us: Sequence[int]) -> Sequence[Sequence[Candidate]]:
        return search_indexed(rows, index, probes, _SUBJECTS, at_us)

    index.ef = _STOCK_EF
    stock = measure(rows, index, known, len(known))
    kept = _found(rows, index, mates)
    add(Line("hnswlib, stock", memory_mb, took_s, stock, kept, *_timed(indexed, known, task.seconds)))
    recall = _raise_ef(rows, index, known, task)
    kept = _found(rows, index, mates)
    add(Line(f"HNSW, ef {index.ef}", memory_mb, took_s, recall, kept, *_timed(indexed, known, task.seconds)))
    return done


def _load(task: Task, real: Real | None) -> Rows:
    batches = padded_batches(real, task.entries) if real else random_batches(task.entries, task.dimension)
    rows = Rows("benchmark")
    for vectors in batches:
        start = len(rows)
        rows.apply([_entry(start + i, vector) for i, vector in enumerate(vectors)], ())
    return rows


def _entry(number: int, vector: Vectors) -> WatchlistEntry:
    name = f"{number:08}"
    return WatchlistEntry(
        entry_id=f"e{name}",
        deployment_id="benchmark",
        subject_id=f"s{name}",
        category="all",
        kind=Kind.WANTED,
        basis="none",
        valid_from_us=0,
        valid_until_us=1,
        space_id="benchmark",
        enrolled_at_us=0,
        vector=vector,
        reference_image=_NO_PICTURE,
    )


def _build(task: Task, rows: Rows) -> HnswIndex:
    dimension = rows.dimension
    assert dimension is not None
    index = HnswIndex(dimension, task.entries, links=task.links, width=task.width)
    began_s = told_s = time.perf_counter()
    for block in rows.blocks():
        for start in range(0, len(block.matrix), 256):
            part = block.matrix[start : start + 256]
            index.put(part, range(block.first_row + start, block.first_row + start + len(part)), task.threads)
            now_s = time.perf_counter()
            if now_s - told_s > 10:
                told_s, rate, left = now_s, len(index) / (now_s - began_s), task.entries - len(index)
                _say(f"building: {len(index)} of {task.entries}, {rate:.0f}/s, {left / rate:.0f} s left")
    return index


def _raise_ef(rows: Rows, index: HnswIndex, known: Copies, task: Task) -> Recall:
    """The recall at the first `ef` that holds on known and on fresh copies, else at the largest."""
    recall = Recall(0, 0, 0)
    for ef in _EFS:
        index.ef = ef
        _say(f"recall at ef {ef}")
        if measure(rows, index, known, most_misses(len(known), _TARGET)).lower < _TARGET and ef != _EFS[-1]:
            continue
        fresh = _copies(rows, task, ef)
        recall = measure(rows, index, fresh, len(fresh))
        if recall.lower >= _TARGET:
            break
    return recall


def _copies(rows: Rows, task: Task, seed: int) -> Copies:
    made = Copies()
    made.draw(rows, task.probes, task.threshold, np.random.default_rng(seed))
    return made


def _mates(rows: Rows, real: Real) -> list[tuple[Vectors, str]]:
    """Further images of enrolled people of whom the exact answer names the right one first."""
    kept = real.mates < len(rows)
    probes, wanted = real.probes[kept], [f"s{mate:08}" for mate in real.mates[kept]]
    first = search_exactly(rows, probes, 1, [0] * len(probes))
    return [(p, w) for p, w, found in zip(probes, wanted, first, strict=True) if found and found[0].subject_id == w]


def _found(rows: Rows, index: HnswIndex, mates: list[tuple[Vectors, str]] | None) -> str:
    if not mates:
        return ""
    answers = search_indexed(rows, index, np.stack([p for p, _ in mates]), 1, [0] * len(mates))
    right = sum(bool(a) and a[0].subject_id == wanted for a, (_, wanted) in zip(answers, mates, strict=True))
    return f"{right} of {len(mates)}"


def _timed(search: Search, known: Copies, seconds: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """p50 and p99 of single look-ups, and of a look-up's share of batches of 64."""
    probes = np.concatenate(known.probes)
    times = []
    for size in (1, _BATCH):
        _say(f"timing look-ups of {size}")
        costs = list(_costs(search, probes, size, seconds))
        times.append((float(np.median(costs)), float(np.quantile(costs, 0.99))))
    return times[0], times[1]


def _costs(search: Search, probes: Vectors, size: int, seconds: float) -> Iterator[float]:
    began_s = time.perf_counter()
    search(probes[:size], [0] * size)  # warm
    for start in range(0, len(probes) - size + 1, size):
        now_s = time.perf_counter()
        search(probes[start : start + size], [0] * size)
        after_s = time.perf_counter()
        yield (after_s - now_s) / size * 1e3
        if after_s - began_s > seconds:
            return


def _resident_mb() -> float:
    """Of this process, after what was freed has gone back to the system."""
    with suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
    text = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = [line for line in text.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
