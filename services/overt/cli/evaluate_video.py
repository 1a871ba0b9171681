"""`overt evaluate video`: the whole pipeline on walk-pasts of labelled people."""

from __future__ import annotations

import math
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from overt import __version__
from overt.cli.endings import stop_at_signal, writing_to
from overt.cli.errors import UserError
from overt.cli.progress import during, say, tell
from overt.evaluation.datasets import DatasetError, read_dataset
from overt.evaluation.results import Made
from overt.evaluation.video.cast import Parts
from overt.evaluation.video.conditions import Conditions
from overt.evaluation.video.files import write_files
from overt.evaluation.video.measures import summarise
from overt.evaluation.video.runs import Plan, evaluate_composed
from overt.evaluation.video.setting import Operating
from overt.evaluation.video.stretch import Stopped
from overt.evaluation.video.words import in_words
from overt.governance.loading import load_deployment
from overt.runtime.logs import configure_logging
from overt.runtime.settings import load_settings

_FIRST_RATE_S = 2.0


@click.command()
@click.argument("photographs", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("out/video"), show_default=True,
              help="Folder for the results, and for what is needed to go on after an interruption.")  # fmt: skip
@click.option("-d", "--deployment", "like", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Recognise as this deployment does: its models, recognition and first category.")  # fmt: skip
@click.option("--detector", default="yunet-s", show_default=True, help="Detector, by its name in the registry.")
@click.option("--embedder", default="mobilefacenet-192", show_default=True, help="Embedder, likewise.")
@click.option("--threshold", type=float, help="Cosine of a match; without it, the one on the model's card.")
@click.option("--strong-threshold", type=float, help="Cosine at which one match suffices; likewise.")
@click.option("--confirmations", type=click.IntRange(1, 20), default=2, show_default=True, help="Matches of a track.")
@click.option("--crops", type=click.IntRange(1, 50), default=4, show_default=True, help="Most crops of a track.")
@click.option("--min-face-px", type=click.IntRange(8, 1000), default=32, show_default=True, help="Smallest face.")
@click.option("--enrolled", type=click.IntRange(1), default=3, show_default=True,
              help="Images enrolled of each listed person, who walks past in one more.")  # fmt: skip
@click.option("--unlisted-images", type=click.IntRange(1), default=2, show_default=True,
              help="People with at most so many images are on no list and walk past.")  # fmt: skip
@click.option("--listed", type=click.IntRange(1), help="Most people on the list; all who can be, without it.")
@click.option("--unlisted", type=click.IntRange(1), help="Most people on no list; likewise.")
@click.option("--size", type=int, nargs=2, default=(640, 360), show_default=True, help="Picture, pixels.")
@click.option("--fps", type=float, default=8.0, show_default=True, help="Pictures a second.")
@click.option("--face-px", type=float, nargs=2, default=(40.0, 90.0), show_default=True,
              help="Width of a face where a pass begins and where it ends.")  # fmt: skip
@click.option("--seconds", type=float, nargs=2, default=(2.0, 3.0), show_default=True, help="Length of an approach.")
@click.option("--at-once", type=click.IntRange(1), default=3, show_default=True, help="Walkers at any time.")
@click.option("--crossing", type=click.FloatRange(0, 1), default=0.25, show_default=True,
              help="Share of walkers who cross others' ways.")  # fmt: skip
@click.option("--blur", type=float, default=0.6, show_default=True, help="The lens's, standard deviation in pixels.")
@click.option("--noise", type=float, default=3.0, show_default=True, help="The sensor's, in levels of 255.")
@click.option("--light", type=float, default=0.12, show_default=True, help="How much light changes on the way.")
@click.option("--brightness", type=float, default=1.0, show_default=True, help="Of the picture; 0.4 is dusk.")
@click.option("--jpeg", type=click.IntRange(0, 100), default=80, show_default=True, help="Quality; 0: no compression.")
@click.option("--stretch", type=click.IntRange(1), default=100, show_default=True, help="Passes kept at a time.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the parts and of the scenes.")
@click.option("--realtime/--no-realtime", default=False, show_default=True,
              help="Keep the camera's pace and measure capture-to-alert latency, or lose no picture.")  # fmt: skip
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path),
              help="Keep composed pictures here, for runs of other models on the very same ones.")  # fmt: skip
@click.option("--compose-with", help="Detector that finds faces in the photographs; else the evaluated one.")
@click.option("--fresh", is_flag=True, help="Begin anew instead of going on where a run like this one stopped.")
def video(
    photographs: Path,
    out: Path,
    like: Path | None,
    detector: str,
    embedder: str,
    threshold: float | None,
    strong_threshold: float | None,
    confirmations: int,
    crops: int,
    min_face_px: int,
    enrolled: int,
    unlisted_images: int,
    listed: int | None,
    unlisted: int | None,
    size: tuple[int, int],
    fps: float,
    face_px: tuple[float, float],
    seconds: tuple[float, float],
    at_once: int,
    crossing: float,
    blur: float,
    noise: float,
    light: float,
    brightness: float,
    jpeg: int,
    stretch: int,
    seed: int,
    realtime: bool,
    keep: Path | None,
    compose_with: str | None,
    fresh: bool,
) -> None:
    """How many listed people are found as they walk past, and how many others raise a false alert.

    PHOTOGRAPHS holds one subfolder for each person, or is a manifest of `overt evaluate identify`. Some people are
    enrolled, these and others walk past in composed scenes in photographs that are not enrolled, and the whole pipeline
    runs over them. TPIR, FPIR and failures to acquire are counted by pass.

    \b
    Examples:
      overt evaluate video people/
      overt evaluate video people/ --detector centerface --embedder dlib-resnet-v1 --listed 40 --unlisted 100
      overt evaluate video people/ --deployment deployment.yaml --face-px 30 60 --blur 1.2 --brightness 0.5
    """
    settings = load_settings()
    configure_logging("WARNING" if settings.log_level == "INFO" else settings.log_level, settings.log_format)
    try:
        conditions = Conditions(
            size, fps, face_px, seconds, at_once, crossing, blur, noise=noise, light=light, brightness=brightness,
            jpeg_quality=jpeg or None, seed=seed,
        )  # fmt: skip
        plan = Plan(
            read_dataset(photographs),
            Parts(enrolled, unlisted_images, listed, unlisted, seed),
            conditions,
            Operating(
                detector, embedder, min_face_px, crops, threshold, strong_threshold, confirmations,
                load_deployment(like) if like else None,
            ),
            stretch,
            realtime,
            keep,
            compose_with,
        )  # fmt: skip
    except DatasetError as error:
        raise UserError(str(error), 6) from error
    except ValueError as error:
        raise UserError(str(error)) from error
    try:
        pace = Pace()
        with writing_to(out), stop_at_signal() as stop, during(lambda: pace.text):
            evaluated = evaluate_composed(plan, settings, out, stop=stop, progress=pace, fresh=fresh)
    except DatasetError as error:
        raise UserError(str(error), 6) from error
    except Stopped:
        say(f"stopped; the same command goes on from what is kept in {out}")
        raise KeyboardInterrupt from None
    summary = summarise(evaluated.stretches, threshold=evaluated.threshold, realtime=realtime)
    made = Made(__version__, datetime.now(UTC).isoformat(timespec="seconds"), tuple(sys.argv[1:]))
    with writing_to(out):
        write_files(out, made, plan, evaluated, summary)
    for line in in_words(evaluated, summary):
        tell(line)


class Pace:
    """How far a long step is, how fast it goes and how long it may still take."""

    def __init__(self) -> None:
        self._what, self._first, self._began_s = "", 0, 0.0
        self.text = "beginning"

    def __call__(self, what: str, done: int, total: int) -> None:
        if what != self._what:
            self._what, self._first, self._began_s = what, done, time.monotonic()
        self.text = f"{what}: {done}/{total}"
        seconds = time.monotonic() - self._began_s
        if self._first < done < total and seconds > _FIRST_RATE_S:
            rate = (done - self._first) / seconds
            self.text += f", {rate:.1f}/s, {math.ceil((total - done) / rate / 60)} min left"
