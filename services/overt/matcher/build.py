"""Making an index beside a gallery that goes on answering and changing, and judging whether it may serve."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from overt.matcher.exact import scrub, search_exactly
from overt.matcher.hnsw import HnswIndex, search_indexed
from overt.matcher.live import Answer, Kind, LiveGallery, catch_up
from overt.matcher.recall import Copies, Recall, measure, most_misses
from overt.messages import Vector
from overt.ports import Candidate

_AT_ONCE = 64
"""Rows put in between two looks at what has changed: less than a second's work."""
_BATCH = 16
_REPEATS = 7
_SUBJECTS = 4

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, and of how much."""


class Stopped(Exception):
    """The building was called off. The gallery answers as it did before."""


class IndexBuild:
    """One attempt. 1 put all entries in, in the order of their ids (of a long list a part, which is tried before the
    rest), 2 measure what a look-up costs, 3 raise `ef` until the mate recall holds or the index costs more than
    comparing everybody, 4 confirm it with fresh copies, 5 decide.

    clock: seconds, of any origin. stopped: asked often; `run` then raises Stopped.
    """

    def __init__(
        self,
        live: LiveGallery,
        clock: Callable[[], float],
        progress: Progress = lambda *_: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._live = live
        self._clock = clock
        self._progress = progress
        self._stopped = stopped
        self._held: list[Copies] = []

    def run(self) -> Answer:
        """Returns what was decided. Raises Stopped."""
        live = self._live
        try:
            index = self._fresh()
        except (ModuleNotFoundError, MemoryError) as error:
            answer = Answer(Kind.EXACT, str(error), len(live))
            live.decide(None, answer)
            return answer
        live.begin(index)
        try:
            answer = self._fill(index) or self._judge(index)  # 1; 2, 3, 4
        except BaseException:
            live.abandon()
            raise
        live.decide(index if answer.kind is Kind.HNSW else None, answer)  # 5
        return answer

    def _fresh(self) -> HnswIndex:
        """An empty index with room for an eighth more than there is."""
        options, entries = self._live.options, len(self._live)
        return HnswIndex(self._live.dimension, entries + entries // 8, links=options.links, width=options.width)

    def _fill(self, index: HnswIndex) -> Answer | None:
        """Puts all entries in. An answer where a part of them shows that it is of no use."""
        live = self._live
        with live.lock:
            order = [row for _, row in sorted(live.rows.row_of.items())]
        trial = live.options.trial if len(order) >= 3 * live.options.trial else len(order)
        held = np.zeros((_AT_ONCE, live.dimension), np.float32)
        for start in range(0, len(order), _AT_ONCE):
            self._pause(index)
            with live.lock:
                taken = [r for r in order[start : start + _AT_ONCE] if live.rows.listed[r] and not index.holds(r)]
                for place, row in enumerate(taken):
                    held[place] = live.rows.vector(row)
            if taken:
                index.put(held[: len(taken)], taken, live.options.threads)
            held.fill(0)
            self._progress("building", min(start + _AT_ONCE, len(order)), len(order))
            if start < trial <= start + _AT_ONCE < len(order) and (answer := self._tried(index, order[:trial])):
                return answer
        self._pause(index)
        return None

    def _tried(self, index: HnswIndex, part: Sequence[int]) -> Answer | None:
        """Looks for copies of a part of the entries, as widely as is ever looked, when no others are in."""
        options = self._live.options
        index.ef = options.efs[-1]
        with self._copies(index, 1, part) as known:
            recall = measure(self._live.rows, index, known, len(known), lambda: self._pause(index))
        if not recall.tried or recall.upper >= options.target:
            return None
        lost = f"{recall.tried - recall.found} of {recall.tried}"
        reason = f"among the first {len(part)} entries the index already loses {lost} people at ef {recall.ef}"
        return Answer(Kind.EXACT, reason, len(self._live), recall)

    def _judge(self, index: HnswIndex) -> Answer:
        with self._copies(index, 1) as known:
            return self._judge_with(index, known)

    def _judge_with(self, index: HnswIndex, known: Copies) -> Answer:
        live, options = self._live, self._live.options
        answer = Answer(Kind.EXACT, "no index was found good enough", len(live))
        if (allowed := most_misses(len(known), options.target)) < 0:
            return replace(answer, reason="too few degraded copies find anybody to measure the recall")
        exact_s = self._cost(known, lambda p, at: search_exactly(live.rows, p, _SUBJECTS, at))
        for number, ef in enumerate(options.efs):
            self._progress("measuring the recall", number, len(options.efs))
            index.ef = ef
            hnsw_s = self._cost(known, lambda p, at: search_indexed(live.rows, index, p, _SUBJECTS, at))
            if hnsw_s >= exact_s:
                reason = f"at ef {ef} the index costs no less than comparing everybody"
                return replace(answer, reason=reason, exact_s=exact_s, hnsw_s=hnsw_s)
            recall = measure(live.rows, index, known, allowed, lambda: self._pause(index))
            if recall.lower >= options.target:
                recall = self._confirm(index, ef)
            answer = replace(answer, recall=recall, exact_s=exact_s, hnsw_s=hnsw_s)
            if recall.lower >= options.target:
                return replace(answer, kind=Kind.HNSW, reason="the index costs less and its recall holds")
        return replace(answer, reason=f"up to ef {options.efs[-1]} the index loses people who are on the list")

    def _confirm(self, index: HnswIndex, ef: int) -> Recall:
        """Recall on copies that `ef` was not chosen with."""
        with self._copies(index, ef) as fresh:
            allowed = most_misses(len(fresh), self._live.options.target)
            return measure(self._live.rows, index, fresh, allowed, lambda: self._pause(index))

    @contextmanager
    def _copies(self, index: HnswIndex, seed: int, among: Sequence[int] | None = None) -> Iterator[Copies]:
        options = self._live.options
        self._progress("making degraded copies", 0, 1)
        made, random = Copies(), np.random.default_rng(seed)
        self._held.append(made)
        try:
            made.draw(self._live.rows, options.probes, options.threshold, random, lambda: self._pause(index), among)
            yield made
        finally:
            made.wipe()
            self._held.remove(made)

    def _cost(self, known: Copies, search: Callable[[Vector, Sequence[int]], Sequence[Sequence[Candidate]]]) -> float:
        """Seconds a probe: the median of a few batches."""
        probes = np.concatenate(known.probes)[: _BATCH * _REPEATS]
        at_us = np.concatenate(known.at_us)[: _BATCH * _REPEATS].tolist()
        costs = []
        for start in range(0, len(probes), _BATCH):
            batch = probes[start : start + _BATCH]
            began = self._clock()
            search(batch, at_us[start : start + _BATCH])
            costs.append((self._clock() - began) / len(batch))
        probes.fill(0)
        return statistics.median(costs)

    def _pause(self, index: HnswIndex) -> None:
        """Between two pieces of work: what has changed goes into both indexes, what was removed is overwritten."""
        if self._stopped():
            raise Stopped
        self._live.tend(_AT_ONCE)
        changed = bool(index.behind)
        while index.behind:
            with self._live.lock:
                catch_up(index, self._live.rows, 1)
        if changed:
            for copies in self._held:
                copies.wipe_gone(self._live.rows)
            scrub(self._live.rows)  # this thread makes products too
