"""What the commands of `overt evaluate` that take labelled images have in common."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from overt import __version__
from overt.cli.endings import writing_to
from overt.cli.errors import UserError
from overt.cli.progress import during, say, tell
from overt.evaluation.cache import CacheError
from overt.evaluation.datasets import DatasetError
from overt.evaluation.results import Made, as_json, write_text
from overt.evaluation.tables import Table, texts
from overt.evaluation.unmeasurable import CannotMeasure

F = TypeVar("F", bound=Callable[..., Any])

_UNREADABLE = 5

_IMAGES = (
    click.argument("source", metavar="DIR|MANIFEST", type=click.Path(exists=True, path_type=Path)),
    click.option(
        "-d",
        "--deployment",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Take models, smallest face and thresholds from a deployment file.",
    ),
    click.option("--detector", help="Detector, by its name in the registry; else the default one."),
    click.option("--embedder", help="Embedder, likewise."),
    click.option(
        "--mirror/--no-mirror",
        default=None,
        help="Add the mirrored chip, or do not; else as the embedder's card says.",
    ),
    click.option(
        "--face",
        type=click.Choice(["central", "only"]),
        default="central",
        show_default=True,
        help="Whose face counts where an image has several: the most central one's, or nobody's.",
    ),
    click.option(
        "--min-face-px",
        type=click.IntRange(8, 1000),
        help="Smallest face that is compared: the shorter side of its box.  [default: 32]",
    ),
    click.option(
        "--cache/--no-cache", default=True, show_default=True, help="Keep templates in OVERT_CACHE/evaluation."
    ),
)
_PROTOCOL = (
    click.option(
        "--enrol",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Images enrolled of each listed person; the others are searched for.",
    ),
    click.option(
        "--splits",
        type=click.IntRange(1, 1000),
        default=10,
        show_default=True,
        help="How often people and images are drawn anew.",
    ),
    click.option(
        "--unlisted-share",
        type=click.FloatRange(0, 1, max_open=True),
        default=0.2,
        show_default=True,
        help="Of the people with images enough, those who stay unlisted; all others are unlisted anyway.",
    ),
    click.option("--list-size", type=click.IntRange(1), help="People on the list, instead of --unlisted-share."),
    click.option(
        "--at-least",
        type=click.IntRange(2),
        help="Images that a person needs to be listed.  [default: one more than are enrolled]",
    ),
    click.option(
        "--rule",
        type=click.Choice(["max", "mean"]),
        default="max",
        show_default=True,
        help="A subject's similarity: of the best entry, as the matcher has it, or the mean of all.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="The same seed and data give the same numbers.",
    ),
    click.option(
        "--resamples",
        type=click.IntRange(200, 100_000),
        default=2000,
        show_default=True,
        help="Resamples of people for an interval.",
    ),
)
_OUTPUT = (
    click.option(
        "--out",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder for result.json, CSV files, plots and index.html; needs the extra `evaluation`.",
    ),
    click.option("--json", "as_document", is_flag=True, help="Print result.json instead of tables."),
)


def image_options(command: F) -> F:
    """The argument DIR|MANIFEST, and how its images become templates."""
    return _with(command, _IMAGES)


def protocol_options(command: F) -> F:
    """Who is enrolled and who is searched for, and how sure the numbers are."""
    return _with(command, _PROTOCOL)


def output_options(command: F) -> F:
    """--out and --json."""
    return _with(command, _OUTPUT)


def take(kind: type[Any], options: dict[str, Any]) -> Any:
    """Takes a dataclass's fields out of a command's options."""
    return kind(**{name: options.pop(name) for name in kind.__dataclass_fields__})


def measuring() -> AbstractContextManager[None]:
    """Says, while it lasts, for how long numbers have been counted and people resampled."""
    begun_s = time.monotonic()
    return during(lambda: f"measuring: {time.monotonic() - begun_s:.0f} s")


@contextmanager
def data_errors() -> Iterator[None]:
    """Data that cannot be evaluated end the command with a reason and exit code 5."""
    try:
        yield
    except (DatasetError, CacheError, CannotMeasure) as error:
        raise UserError(str(error), _UNREADABLE) from error


def require_plots() -> None:
    """Raises UserError where the package for plots is not installed: before the work, not after it."""
    try:
        import matplotlib  # noqa: F401  # only whether it is there
    except ImportError as error:
        raise UserError(
            "--out draws plots with matplotlib, which is not installed: install overt[evaluation], or leave --out away"
        ) from error


def give(document: Mapping[str, Any], tables: Sequence[Table], *, as_document: bool) -> None:
    """Prints a result, as tables or as JSON."""
    tell(json.dumps(document, ensure_ascii=False, allow_nan=False) if as_document else texts(tables))


def write(out: Path, document: Mapping[str, Any], files: Mapping[str, str]) -> None:
    """Writes result.json and other files into a folder. Raises UserError."""
    with writing_to(out):
        write_text(out / "result.json", as_json(document))
        for name, text in files.items():
            write_text(out / name, text)
    say(f"results: {out / ('index.html' if 'index.html' in files else 'result.json')}")


def made_now() -> Made:
    """Who makes a result, when, with which command."""
    return Made(__version__, datetime.now(UTC).isoformat(timespec="seconds"), ("overt", *sys.argv[1:]))


def _with(command: F, options: Sequence[Callable[[Any], Any]]) -> F:
    for option in reversed(options):
        command = option(command)
    return command
