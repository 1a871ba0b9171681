"""Where a replica's time goes, as a picture: a bar for each trial."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from scaling.timed import PARTS
from scaling.trial import Result

_COLOURS = ("#8c8c8c", "#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677")


def plot(results: Sequence[Result], file: Path) -> None:
    """Writes a PNG, or whatever the file's name ends with."""
    draw(results).savefig(file, dpi=110)


def draw(results: Sequence[Result]) -> Figure:
    """What a frame costs a replica beside its model."""
    figure = Figure(figsize=(9.0, 1.5 + 0.3 * len(results)), layout="constrained")
    axes = figure.subplots()
    names = [f"replicas {one.replicas}, cameras {one.cameras}: {one.efficiency:.2f}" for one in results]
    reached = [0.0] * len(results)
    late = [one.stage_s - (one.model_s or one.stage_s) for one in results]
    parts = {"woken late": late} | {part: [one.parts_s[part] for one in results] for part in PARTS[1:]}
    for colour, (part, spent_s) in zip(
        _COLOURS, (parts | {"loop": [one.loop_s for one in results]}).items(), strict=True
    ):
        taken_ms = [max(0.0, seconds) * 1000 for seconds in spent_s]
        axes.barh(names, taken_ms, left=reached, color=colour, label=part)
        reached = [at + more for at, more in zip(reached, taken_ms, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("ms a frame beside the model (and efficiency)")
    figure.legend(loc="outside upper center", ncols=len(_COLOURS))  # wherever in the axes, a bar may be behind it
    return figure
