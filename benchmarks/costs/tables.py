"""What is measured, as text."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from costs.live import Lived
from costs.shares import NETWORKS, ORDER, Shares
from costs.variants import Result

LABELS = {
    "bare": "a  bare model calls of the pipeline",
    "embedded": "b  embedded pipeline",
    "naive": "c  naive loop",
    "naive-plain": "c' naive loop, no mirrored chips",
}


def ratio(one: Sequence[Result], other: Sequence[Result]) -> float:
    """Median of the repetitions' own ratios: what disturbs the machine for a while disturbs both."""
    return statistics.median(a.cpu_s / b.cpu_s for a, b in zip(one, other, strict=True))


def costs(results: Mapping[str, Sequence[Result]], frames: int) -> list[str]:
    """CPU seconds of each variant: median, least and most of its repetitions."""
    lines = [f"  {'CPU seconds':36}  median  (least to most)   ms/frame    wall s"]
    for name, runs in results.items():
        cpu = [run.cpu_s for run in runs]
        middle = statistics.median(cpu)
        spread = f"({min(cpu):.2f} to {max(cpu):.2f})"
        wall = statistics.median(run.wall_s for run in runs)
        lines.append(f"  {LABELS[name]:36} {middle:7.2f}  {spread:18} {1000 * middle / frames:7.2f}  {wall:8.2f}")
    return lines


def ratios(results: Mapping[str, Sequence[Result]], aims: Mapping[str, float]) -> list[str]:
    """b/a and b/c with their aims."""
    pairs = {"b/a": ("embedded", "bare"), "b/c": ("embedded", "naive"), "b/c'": ("embedded", "naive-plain")}
    lines = []
    for name, (one, other) in pairs.items():
        if other in results:
            value, aim = ratio(results[one], results[other]), aims.get(name)
            verdict = "" if aim is None else f"   aim: at most {aim:g}, {'reached' if value <= aim else 'MISSED'}"
            lines.append(f"  {name:5} {value:5.2f}{verdict}")
    return lines


def people(results: Mapping[str, Sequence[Result]], enrolled: Sequence[str]) -> list[str]:
    """Whom the pipeline and the naive loop have found."""
    by_pipeline, by_loop = results["embedded"][0].found, results["naive"][0].found
    same = "the same people" if by_pipeline == by_loop else "NOT the same people"
    lines = [f"  enrolled: {', '.join(sorted(set(enrolled))) or 'nobody'}; found by b and c: {same}"]
    lines += [f"    b only: {', '.join(sorted(by_pipeline - by_loop))}"] if by_pipeline - by_loop else []
    lines += [f"    c only: {', '.join(sorted(by_loop - by_pipeline))}"] if by_loop - by_pipeline else []
    alerts = {run.alerts for run in results["embedded"]}
    steady = "" if len(alerts) == 1 else "   (NOT the same in every repetition)"
    lines.append(f"    found: {', '.join(sorted(by_pipeline)) or 'nobody'}")
    lines.append(f"    alerts of b: {', '.join(min(alerts)) or 'none'}{steady}")
    calls, loop = results["bare"][0].calls, results["naive"][0].calls
    looks, chips = calls.get("detector", 0), calls.get("chips", 0)
    lines.append(
        f"    {loop['frames']} frames; b: {looks} detector passes (second looks are small), {chips} chips in the"
    )
    lines.append(f"    embedder (mirrored ones included); c: {loop['faces']} faces embedded")
    return lines


def shares(runs: Sequence[Shares], frames: int) -> list[str]:
    """Where the embedded pipeline's CPU time goes: medians."""
    total = statistics.median(run.cpu_s for run in runs)
    wall = statistics.median(run.wall_s for run in runs)
    lines = [f"  {'where b spends it (clocked run)':44}  ms/frame   share"]
    networks = 0.0
    for stage in ORDER:
        spent = statistics.median(run.by_stage.get(stage, 0.0) for run in runs)
        networks += spent if stage in NETWORKS else 0.0
        lines.append(f"    {stage:42} {1000 * spent / frames:9.3f} {100 * spent / total:6.1f} %")
    lines.append(f"    {'all':42} {1000 * total / frames:9.3f}  networks {100 * networks / total:.0f} %")
    lines.append(f"    cores in use: {total / wall:.2f} (CPU over wall seconds, {wall:.2f} s for {frames} frames)")
    return lines


def live(run: Lived) -> list[str]:
    """Capture to alert."""
    said = "no alert"
    if run.latencies_s:
        p50, p95 = 1000 * run.quantile_s(0.5), 1000 * run.quantile_s(0.95)
        said = f"capture to alert p50 {p50:.0f} ms, p95 {p95:.0f} ms ({len(run.latencies_s)} alerts)"
    return [
        f"  real time, {run.wall_s:.0f} s of the video in a loop: {said}",
        f"    {run.read:.0f} frames read, {run.lost:.0f} dropped or shed; "
        f"{100 * run.cpu_s / run.wall_s:.0f} % of one core",
    ]
