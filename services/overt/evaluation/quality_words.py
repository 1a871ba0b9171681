"""A quality's evaluation in words."""

from __future__ import annotations

from overt.evaluation.quality import FMR, WHOLE, QualityResult
from overt.evaluation.tables import Table
from overt.evaluation.unmeasurable import NotMeasurable


def quality_tables(result: QualityResult) -> list[Table]:
    """What was compared, what each quality tells, and what becomes of faces of each quality."""
    models = tuple(result.fnmr)
    return [_compared(result, models), _gains(result, models), _steps(result, models)]


def _compared(result: QualityResult, models: tuple[str, ...]) -> Table:
    rows = [
        (model, f"{result.thresholds[model]:.3f}", f"{100 * result.fnmr[model]:.1f} %") for model in models
    ]  # fmt: skip
    return Table(
        f"{result.trials:,} degraded faces of {result.people:,} people against a good image of each",
        ("model", f"cosine at FMR {FMR:g}", "FNMR, nobody refused"),
        tuple(rows),
        (f"{result.not_found:,} more were not found by the second look.",),
    )


def _gains(result: QualityResult, models: tuple[str, ...]) -> Table:
    gains = {(judged.quality, judged.model): judged.gain for judged in result.judged}
    names = [name for name in dict.fromkeys(judged.quality for judged in result.judged) if name != WHOLE]
    rows = [(WHOLE, *(_share(gains[WHOLE, model]) for model in models), *("" for _ in models))]
    for name in sorted(names, key=lambda name: -sum(_number(gains[name, model]) for model in models)):
        alone = [_share(gains[name, model]) for model in models]
        rows.append((name, *alone, *(_share(result.without[name][model]) for model in models)))
    return Table(
        "What each tells: gain of refusing the poorest fifth",
        ("component", *(f"alone, {model}" for model in models), *(f"all but it, {model}" for model in models)),
        tuple(rows),
        ("0: no better than refusing at random; 1: as good as knowing the errors. A component earns its place where",
         "all but it gain less than all of them."),
    )  # fmt: skip


def _steps(result: QualityResult, models: tuple[str, ...]) -> Table:
    rows = [
        (f"{step.least:.1f} to {step.most:.1f}", str(step.trials), *(f"{100 * step.matched[m]:.0f} %" for m in models))
        for step in result.steps
    ]
    header = ("quality", "faces", *(f"match, {model}" for model in models))
    return Table("What becomes of faces of a quality", header, tuple(rows))


def _number(gain: float | NotMeasurable) -> float:
    return -1.0 if isinstance(gain, NotMeasurable) else gain


def _share(gain: float | NotMeasurable) -> str:
    return "not measurable here" if isinstance(gain, NotMeasurable) else f"{gain:.3f}"
