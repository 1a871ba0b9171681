"""`overt evaluate video`: the whole pipeline on walk-pasts of labelled people."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from overt.cli.endings import stop_at_signal, writing_to
from overt.cli.errors import UserError
from overt.cli.evaluate_options import (
    data_errors,
    give,
    made_now,
    output_options,
    require_plots,
    take,
    write,
)
from overt.cli.progress import Pace, say
from overt.evaluation.datasets import read_dataset
from overt.evaluation.video.cast import Parts
from overt.evaluation.video.conditions import Conditions
from overt.evaluation.video.evaluated import Evaluated
from overt.evaluation.video.files import video_document, video_files
from overt.evaluation.video.measures import summarise
from overt.evaluation.video.plan import Plan
from overt.evaluation.video.recorded import Recording, evaluate_recording
from overt.evaluation.video.runs import evaluate_composed
from overt.evaluation.video.setting import Operating
from overt.evaluation.video.stretch import Stopped
from overt.evaluation.video.words import settings_table, video_tables
from overt.governance.listing import WatchlistError
from overt.governance.loading import load_deployment
from overt.runtime.logs import configure_logging
from overt.runtime.settings import Settings, load_settings

F = TypeVar("F", bound=Callable[..., Any])

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_OPERATING = (
    click.option("-d", "--deployment", type=_FILE, help="Recognise as this deployment's first category does."),
    click.option("--detector", help="Detector, by its name in the registry; else the default one."),
    click.option("--embedder", help="Embedder, likewise."),
    click.option("--threshold", type=click.FloatRange(-1, 1), help="Cosine of a match; else that of the model's card."),
    click.option("--strong-threshold", type=click.FloatRange(-1, 1), help="Cosine at which one match is enough."),
    click.option("--confirmations", type=click.IntRange(1, 20), default=2, show_default=True,
                 help="Matches of one track that make an alert."),
    click.option("--crops-per-track", type=click.IntRange(1, 50), default=4, show_default=True,
                 help="Most crops of one walk-past."),
    click.option("--min-face-px", type=click.IntRange(8, 1000), default=32, show_default=True,
                 help="Smallest face that is compared."),
)  # fmt: skip
_PARTS = (
    click.option("--enrolled", type=click.IntRange(1), default=3, show_default=True,
                 help="Images enrolled of each listed person, who walks past in one more."),
    click.option("--unlisted-images", type=click.IntRange(1), default=2, show_default=True,
                 help="People with at most so many images are on no list and walk past."),
    click.option("--listed", type=click.IntRange(1), help="Most people on the list.  [default: all who can be]"),
    click.option("--unlisted", type=click.IntRange(1), help="Most people on no list.  [default: all who can be]"),
)  # fmt: skip
_SCENE = (
    click.option("--size", type=int, nargs=2, default=(640, 360), show_default=True, help="Of a picture, pixels."),
    click.option("--fps", type=float, default=8.0, show_default=True, help="Pictures a second."),
    click.option("--face-px", type=float, nargs=2, default=(40.0, 90.0), show_default=True,
                 help="Width of a face where a pass begins and where it ends."),
    click.option("--seconds", type=float, nargs=2, default=(2.0, 3.0), show_default=True,
                 help="Shortest and longest approach."),
    click.option("--at-once", type=click.IntRange(1), default=3, show_default=True, help="Walkers at any time."),
    click.option("--crossing", type=click.FloatRange(0, 1), default=0.25, show_default=True,
                 help="Share of walkers who cross others' ways."),
    click.option("--blur-px", type=float, default=0.6, show_default=True, help="Of the lens, standard deviation."),
    click.option("--shutter", type=click.FloatRange(0, 1), default=0.25, show_default=True,
                 help="Exposure, as a share of the time between pictures."),
    click.option("--noise", type=float, default=3.0, show_default=True, help="Of the sensor, in levels of 255."),
    click.option("--light", type=float, default=0.12, show_default=True, help="How much it changes on the way."),
    click.option("--brightness", type=float, default=1.0, show_default=True, help="Of the picture; 0.4 is dusk."),
    click.option("--jpeg-quality", type=click.IntRange(1, 100), default=80, show_default=True,
                 help="Compression of each picture."),
    click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of parts and scenes."),
)  # fmt: skip
_RUNNING = (
    click.option("--labels", type=_FILE, help="SOURCE is a recording, and this file says who passes when."),
    click.option("--watchlist", type=click.Path(exists=True, path_type=Path), help="The recording's watchlist."),
    click.option("--realtime/--no-realtime", default=False, show_default=True,
                 help="Keep the camera's pace and measure capture-to-alert latency, or lose no picture."),
    click.option("--keep", type=_FOLDER, help="Keep composed pictures here, for other models to see the very same."),
    click.option("--compose-with", help="Detector that finds faces to compose with; else the evaluated one."),
    click.option("--stretch", type=click.IntRange(1), default=100, show_default=True,
                 help="Passes after which what was measured is kept."),
    click.option("--fresh", is_flag=True, help="Begin anew instead of going on where the same run was stopped."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Running:
    """The values of `_RUNNING`."""

    labels: Path | None
    watchlist: Path | None
    realtime: bool
    keep: Path | None
    compose_with: str | None
    stretch: int
    fresh: bool


def _all_options(command: F) -> F:
    for option in reversed((*_OPERATING, *_PARTS, *_SCENE, *_RUNNING)):
        command = option(command)
    return command


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@_all_options
@output_options
def video(source: Path, deployment: Path | None, out: Path | None, as_document: bool, **options: Any) -> None:
    """The whole pipeline on walk-pasts: who is found, who raises a false alert, who is missed and why.

    SOURCE holds photographs, one subfolder for each person, or is a manifest of `overt evaluate identify`. Some people
    are enrolled; these and others walk past in composed scenes, in photographs that are not enrolled, and the whole
    pipeline runs over them. TPIR, FPIR and failures to acquire are counted by pass. What is finished is kept: a run
    that was stopped goes on with the same command.

    With --labels SOURCE is a recording. LABELS is CSV with columns person, from and until (seconds or h:mm:ss), and
    left, top, right, bottom (pixels) where several people pass at once, or a JSON list of such objects. Whoever is on
    the watchlist has the subject's id there.

    \b
    Examples:
      overt evaluate video people/ --out out/video
      overt evaluate video people/ -d deployment.yaml --face-px 30 60 --blur-px 1.2 --brightness 0.5
      overt evaluate video walk.mp4 --labels who.csv --watchlist watchlist/
    """
    if out is not None:
        require_plots()
    settings = load_settings()
    configure_logging("WARNING" if settings.log_level == "INFO" else settings.log_level, settings.log_format)
    options["like"] = load_deployment(deployment) if deployment else None
    running: _Running = take(_Running, dict(options))
    operating: Operating = take(Operating, dict(options))
    told: dict[str, Any] = {"realtime": running.realtime}
    if running.labels is not None:
        evaluated = _recorded(source, running, operating, settings)
        title, shown = f"A recording: {source.name}", "as labelled"
    else:
        parts, conditions = take(Parts, dict(options)), _conditions(options)
        evaluated = _composed(source, running, parts, conditions, operating, settings)
        told |= {"parts": asdict(parts), "conditions": asdict(conditions)}
        title = f"Walk-pasts composed of {evaluated.data.name}"
        shown = ", ".join(f"{name} {value}" for name, value in asdict(conditions).items())
    summary = summarise(evaluated.stretches, threshold=evaluated.threshold, realtime=running.realtime)
    made = made_now()
    content = video_document(made, evaluated, summary, told)
    tables = [*video_tables(evaluated, summary), settings_table(evaluated, shown, made)]
    give(content, tables, as_document=as_document)
    if out is not None:
        write(out, content, video_files(made, evaluated, summary, tables, title))


def _composed(
    source: Path, running: _Running, parts: Parts, conditions: Conditions, operating: Operating, settings: Settings
) -> Evaluated:
    with data_errors(), _stoppable("what is finished is kept: the same command goes on from there") as (stop, pace):
        plan = Plan(
            read_dataset(source),
            parts,
            conditions,
            operating,
            running.stretch,
            running.realtime,
            running.keep,
            running.compose_with,
        )
        kept = settings.cache / "evaluation" / "walk-pasts"
        with writing_to(kept):
            return evaluate_composed(plan, settings, kept, stop=stop, progress=pace, fresh=running.fresh)


def _recorded(source: Path, running: _Running, operating: Operating, settings: Settings) -> Evaluated:
    if running.watchlist is None or running.labels is None:
        raise UserError("a recording needs --watchlist DIR: one subfolder, or one file-name prefix, for each subject")
    recording = Recording(source, running.labels, running.watchlist, operating, running.realtime)
    with data_errors(), _stoppable("stopped before its end: nothing was measured") as (stop, pace):
        try:
            return evaluate_recording(recording, settings, stop=stop, progress=pace)
        except WatchlistError as error:
            raise UserError(f"the watchlist cannot be used:\n  {error}", 6) from error


def _conditions(options: dict[str, Any]) -> Conditions:
    try:
        conditions: Conditions = take(Conditions, dict(options))
    except ValueError as error:
        raise UserError(str(error)) from error
    return conditions


@contextmanager
def _stoppable(what_then: str) -> Iterator[tuple[threading.Event, _Steps]]:
    """Shows how far it is; Ctrl-C ends it with the words given."""
    steps = _Steps()
    try:
        with stop_at_signal() as stop:
            yield stop, steps
    except Stopped:
        say(what_then)
        raise KeyboardInterrupt from None


class _Steps:
    """Called with what is done, how much of it and of how much: a pace for each step."""

    def __init__(self) -> None:
        self._what, self._pace = "", Pace("")

    def __call__(self, what: str, done: int, total: int) -> None:
        if what != self._what:
            self._what, self._pace = what, Pace(what)
        self._pace(done, total)
