"""`overt evaluate quality`: what each component of a face's quality tells, and the calibration made from it."""

from __future__ import annotations

from pathlib import Path

import click
import yaml

from overt.cli.errors import UserError
from overt.cli.evaluate_options import data_errors, give, made_now, require_plots, write
from overt.cli.progress import Pace
from overt.detector.calibration import Calibration
from overt.evaluation.datasets import read_dataset
from overt.evaluation.quality import QualityResult, measured
from overt.evaluation.quality_parts import open_lens, open_locator
from overt.evaluation.quality_trials import gather
from overt.evaluation.quality_words import quality_tables
from overt.evaluation.recipe import Choice, choose
from overt.evaluation.results import document
from overt.runtime.settings import load_settings


@click.command()
@click.argument("source", metavar="DIR|MANIFEST", type=click.Path(exists=True, path_type=Path))
@click.option("--detector", help="Detector, by its name in the registry; else the default one.")
@click.option("--embedder", "embedders", multiple=True, help="Embedder, likewise; repeatable: fitted to all of them.")
@click.option("--people", type=click.IntRange(2), help="Most people, drawn at random; all, without it.")
@click.option("--versions", type=click.IntRange(1, 100), default=2, show_default=True,
              help="Degraded versions of each image.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="The same seed and data give the same numbers.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path),
              help="Folder for calibration.yaml, result.json and the plot; needs the extra `evaluation`.")  # fmt: skip
@click.option("--json", "as_document", is_flag=True, help="Print result.json instead of tables.")
def quality(
    source: Path,
    detector: str | None,
    embedders: tuple[str, ...],
    people: int | None,
    versions: int,
    seed: int,
    out: Path | None,
    as_document: bool,
) -> None:
    """What each component of a face's quality tells, by error against reject.

    Images of people with two or more are reduced, blurred, darkened, made noisy and compressed at random, and compared
    with a good image of the same person. With --out the calibration is written as the detector reads it.

    \b
    Examples:
      overt evaluate quality people/ --people 200
      overt evaluate quality people/ --embedder dlib-resnet-v1 --embedder mobilefacenet-192 --out out/quality
    """
    if out is not None:
        require_plots()
    settings = load_settings()
    chosen = [choose(settings, Choice(detector=detector, embedder=name)) for name in embedders or (None,)]
    with data_errors():
        data = read_dataset(source)
        locator, lenses = open_locator(settings, chosen[0]), [open_lens(settings, models) for models in chosen]
        progress = Pace("degraded and compared, people")
        try:
            trials = gather(data, locator, lenses, people=people, versions=versions, seed=seed, progress=progress)
        except ValueError as error:
            raise UserError(f"{source}: {error}") from error
        result = measured(trials, seed)
    made = made_now()
    models = [part.recipe for part in chosen]
    content = document(
        "quality", made, {"models": models, "seed": seed, "versions": versions, "measures": _said(result)}
    )
    give(content, quality_tables(result), as_document=as_document)
    if out is not None:
        from overt.evaluation.plots import error_reject  # needs matplotlib

        by = f"{made.date}: {' '.join(made.command)}; {result.trials} degraded faces of {result.people} people"
        files = {"calibration.yaml": _as_yaml(result.calibration, by)}
        for model in result.fnmr:
            plot = error_reject({j.quality: j.curve for j in result.judged if j.model == model})
            files[f"error-reject-{model}.svg"] = plot.file()
        write(out, content, files)


def _said(result: QualityResult) -> dict[str, object]:
    return {
        "trials": result.trials,
        "people": result.people,
        "not_found": result.not_found,
        "thresholds": result.thresholds,
        "fnmr": result.fnmr,
        "gains": [{"model": j.model, "quality": j.quality, "gain": j.gain} for j in result.judged],
        "gains_without": result.without,
        "steps": result.steps,
        "calibration": result.calibration,
    }


def _as_yaml(calibration: Calibration, source: str) -> str:
    """As `overt.detector.calibration.read_calibration` takes it."""
    penalties = {name: [list(point) for point in line] for name, line in calibration.penalties.items()}
    return yaml.safe_dump(
        {"source": source, "best": calibration.best, "penalties": penalties}, sort_keys=False, default_flow_style=None
    )
