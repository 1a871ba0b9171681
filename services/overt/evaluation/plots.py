"""Plots as SVG, readable on a light and a dark page: their colours are those of the page's style sheet.

Importing this module needs matplotlib, which the extra `evaluation` brings.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import ndtri

from overt.evaluation.det import DetCurve
from overt.evaluation.error_reject import ErrorReject
from overt.evaluation.estimate import Estimate
from overt.evaluation.identify import Growth
from overt.evaluation.intervals import Interval, Rate
from overt.evaluation.unmeasurable import NotMeasurable

Numbers = NDArray[np.float64]

# Stand-ins that `svg` replaces by the page's variables; matplotlib knows numbers only.
_INK, _SOFT, _LINE = "#010203", "#040506", "#070809"
_SERIES = ("#0a0b0c", "#0d0e0f", "#101112", "#131415")
COLOURS = _SERIES
"""Of a plot's series, for whoever draws one with `svg`."""
_VARIABLES = {_INK: "--ink", _SOFT: "--soft", _LINE: "--line"} | {
    colour: f"--series-{number}" for number, colour in enumerate(_SERIES, start=1)
}
_POINTS = 150
"""Of a curve that has one for each comparison: more is not seen."""
_RATES = (1e-5, 1e-4, 1e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99)
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _SOFT,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "text.color": _INK,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "grid.color": _LINE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture for a page. `name` is its file's name without ending; `title` says what one sees."""

    name: str
    title: str
    caption: str
    svg: str
    """Inline SVG that takes its colours from the page."""

    def file(self) -> str:
        """As a file of its own, dark on white."""
        colours = {"ink": "#1c1b1a", "soft": "#5d5a55", "line": "#dedbd4"}
        colours |= {"series-1": "#0b5c94", "series-2": "#a85400", "series-3": "#3d7a3f", "series-4": "#7a3f8f"}
        style = ";".join(f"--{name}:{colour}" for name, colour in colours.items())
        return self.svg.replace("<svg ", f'<svg style="background:#fff;{style}" ', 1)


def det(curve: DetCurve, marks: Sequence[tuple[str, float, float]] = ()) -> Plot:
    """FNIR against FPIR on normal deviates. `marks`: words, FPIR and FNIR of operating points."""

    def draw(axes: Axes) -> None:
        inside = (curve.fpir > 0) & (curve.fpir < 1)
        x, y = _deviate(curve.fpir[inside]), _deviate(curve.fnir[inside])
        low, high = _deviate(curve.fnir_low[inside]), _deviate(curve.fnir_high[inside])
        axes.fill_between(x, low, high, color=_SERIES[0], alpha=0.18, linewidth=0, label="95 % interval of FNIR")
        axes.plot(x, y, color=_SERIES[0], linewidth=1.8)
        for (words, fpir, fnir), marker in zip(marks, "osD^vP*X", strict=False):
            if 0 < fpir < 1:
                axes.plot(_deviate([fpir]), _deviate([fnir]), marker, color=_SERIES[1], label=words)
        _rate_ticks(axes, "x", x)
        _rate_ticks(axes, "y", np.concatenate([low, high]))
        axes.set_xlabel("FPIR: unlisted people's searches that raise an alert")
        axes.set_ylabel("FNIR: listed people's searches that are missed")
        axes.legend(loc="upper right")

    return Plot(
        "det",
        "Missed people against false alerts (DET)",
        "Each point is a threshold: to the left fewer false alerts, below fewer missed people. Both axes are normal "
        "deviates, on which good systems give straight lines.",
        svg(draw, "det"),
    )


def histogram(series: Mapping[str, Numbers], thresholds: Mapping[str, float]) -> Plot:
    """Distributions of similarities, each as a share of its own searches; thresholds as upright lines."""

    def draw(axes: Axes) -> None:
        values = np.concatenate([v[np.isfinite(v)] for v in series.values()])
        bins = np.linspace(float(values.min()), float(values.max()), 61) if values.size else np.linspace(-1, 1, 61)
        for (words, scores), colour in zip(series.items(), _SERIES, strict=False):
            finite = scores[np.isfinite(scores)]
            share = np.histogram(finite, bins)[0] / max(1, len(scores))
            axes.stairs(100 * share, bins, color=colour, label=words, linewidth=1.5)
            axes.stairs(100 * share, bins, color=colour, fill=True, alpha=0.15)
        for (words, at), dashes in zip(thresholds.items(), ("-", "--", ":", "-."), strict=False):
            axes.axvline(at, color=_SOFT, linewidth=1, linestyle=dashes, label=words)
        axes.set_xlabel("similarity (cosine)")
        axes.set_ylabel("searches in each bin (%)")
        axes.set_ylim(bottom=0)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)

    return Plot(
        "histogram",
        "Similarities of listed and of unlisted people",
        "Where the two overlap, no threshold is right for everybody.",
        svg(draw, "histogram"),
    )


def growth(lines: Sequence[Growth]) -> Plot:
    """FPIR against list size on logarithmic axes."""

    def draw(axes: Axes) -> None:
        for line, colour in zip(lines, _SERIES, strict=False):
            there = [s for s in line.sizes if not isinstance(s.measured, NotMeasurable)]
            size = [s.subjects for s in there]
            spans = [s.interval or Interval(math.nan, math.nan) for s in there]
            low, high = [i.low for i in spans], [i.high for i in spans]
            words = f"measured at {line.threshold:.4f} ({line.origin})"
            axes.fill_between(size, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(size, [_positive(s.measured) for s in there], "o-", markersize=3, color=colour, label=words)
            law = [_positive(s.law) for s in line.sizes]
            axes.plot([s.subjects for s in line.sizes], law, "--", color=colour, linewidth=1)
        axes.plot([], [], "--", color=_SOFT, linewidth=1, label="by the law 1 - (1 - FMR)^N")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("people on the list")
        axes.set_ylabel("FPIR")
        axes.xaxis.set_major_formatter(lambda v, _: f"{v:,.0f}")
        axes.yaxis.set_major_formatter(lambda v, _: f"{100 * v:g} %")
        axes.legend(loc="lower right")

    return Plot(
        "list-size",
        "False alerts grow with the list",
        "Bands are 95 % intervals by person. Beyond the evaluated list there is only the law, which takes comparisons "
        "for independent.",
        svg(draw, "list-size"),
    )


def groups(label: str, error: str, rates: Mapping[str, Estimate | Rate | NotMeasurable], threshold: float) -> Plot:
    """One error of each group with its interval, the worst on top."""
    there = {group: rate for group, rate in rates.items() if not isinstance(rate, NotMeasurable)}
    order = sorted(there, key=lambda group: there[group].value)

    def draw(axes: Axes) -> None:
        for row, group in enumerate(order):
            rate = there[group]
            span = rate.interval if isinstance(rate, Estimate) else rate.clopper_pearson()
            axes.plot([100 * span.low, 100 * span.high], [row, row], color=_SERIES[0], linewidth=2)
            axes.plot([100 * rate.value], [row], "o", color=_SERIES[0])
        axes.set_yticks(range(len(order)), [_escaped(group) for group in order])
        axes.set_ylim(-0.6, len(order) - 0.4)
        axes.set_xlim(left=0)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(f"{error} at threshold {threshold:.4f} (%)")

    return Plot(
        f"groups-{re.sub('[^a-z0-9]+', '-', f'{label} {error}'.lower())}",
        f"{error} by {label}",
        "Points are measured, lines are 95 % intervals. Overlapping intervals do not show equality.",
        svg(draw, f"{label} {error}", height=0.9 + 0.36 * max(2, len(order))),
    )


def error_reject(curves: Mapping[str, ErrorReject], error: str = "FNMR") -> Plot:
    """How an error falls when the images of least quality are refused, one curve for each quality."""

    def draw(axes: Axes) -> None:
        styles = [(colour, dashes) for dashes in ("-", "--", ":") for colour in _SERIES]
        for (words, curve), (colour, dashes) in zip(curves.items(), styles, strict=False):
            shown = slice(None, None, max(1, len(curve.rejected) // _POINTS))
            axes.plot(
                100 * curve.rejected[shown], 100 * curve.error[shown], dashes, color=colour, label=_escaped(words)
            )
        axes.set_xlabel("comparisons refused, the poorest first (%)")
        axes.set_ylabel(f"{error} of the rest (%)")
        axes.set_xlim(0, 95)  # beyond, a few comparisons decide
        axes.set_ylim(bottom=0)
        axes.legend(loc="lower left")

    return Plot(
        "error-reject",
        "What a quality is worth: errors left when the poorest images are refused",
        "A quality that tells nothing gives a level line; the steeper a curve falls, the more it tells.",
        svg(draw, "error-reject"),
    )


def svg(draw: Callable[[Axes], None], name: str, *, width: float = 7.2, height: float = 4.2) -> str:
    """Draws on a figure of its own (inches) and returns inline SVG in the page's colours. The same data give the same
    text."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.subplots())
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    inline = text.getvalue()
    inline = inline[inline.index("<svg ") :]
    for colour, variable in _VARIABLES.items():
        inline = inline.replace(colour, f"var({variable})")
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', 'role="img"', inline, count=1)


def _deviate(rates: Numbers | Sequence[float]) -> Numbers:
    """Standard normal deviates; shares of 0 and 1 are drawn at the edge."""
    return np.asarray(ndtri(np.clip(rates, _RATES[0], 0.999)), np.float64)


def _rate_ticks(axes: Axes, axis: str, deviates: Numbers) -> None:
    low, high = float(deviates.min()) - 0.1, float(deviates.max()) + 0.1
    ticks = [rate for rate in _RATES if low <= float(ndtri(rate)) <= high]
    words = [f"{100 * rate:g} %" for rate in ticks]
    if axis == "x":
        axes.set_xticks(ndtri(ticks), words)
        axes.set_xlim(low, high)
    else:
        axes.set_yticks(ndtri(ticks), words)
        axes.set_ylim(low, high)


def _positive(value: float | NotMeasurable) -> float:
    """A logarithmic axis leaves out what is not above 0."""
    return value if not isinstance(value, NotMeasurable) and value > 0 else math.nan


def _escaped(words: str) -> str:
    """A dollar would begin mathematics."""
    return words.replace("$", r"\$")
