"""`overt models bench`: what the models cost on this machine."""

from __future__ import annotations

import dataclasses
import json
import re

import click

from overt.cli.errors import UserError
from overt.cli.progress import Bar
from overt.models.bench import Timing, time_model
from overt.models.registry import Registry
from overt.runtime.loaded import open_model, open_registry
from overt.runtime.settings import load_settings

_SIZES = ("640x360", "1280x720")


@click.command(short_help="Time models on this machine: ms a picture, ms a face.")
@click.argument("names", nargs=-1)
@click.option("--size", "sizes", multiple=True, default=_SIZES, show_default=True, help="Width x height of pictures.")
@click.option("--repeats", type=click.IntRange(1), default=30, show_default=True, help="Passes that are timed.")
@click.option("--threads", type=click.IntRange(1, 64), help="In place of OVERT_THREADS and the card.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object for each line of the table.")
def bench(names: tuple[str, ...], sizes: tuple[str, ...], repeats: int, threads: int | None, as_json: bool) -> None:
    """Time models on this machine: those of NAMES, or all whose files are here.

    Detectors: ms a picture of each --size. Embedders: ms a face, with the mirrored chip where the card has one. One
    picture at a time; the median, and the least, which other work on the machine disturbs less.

    \b
    Examples:
      overt models bench
      overt models bench centerface yunet-s --size 1920x1080 --threads 2
      overt models bench --json | jq .ms
    """
    settings = load_settings()
    if threads is not None:
        settings = settings.model_copy(update={"threads": threads})
    registry = open_registry(settings)
    wanted = [_pixels(size) for size in sizes]
    chosen = names or _ready(registry)
    bar = Bar("models timed")
    timings: list[Timing] = []
    for done, name in enumerate(chosen):
        bar(done, len(chosen))
        card = registry.card(name)
        timings += time_model(card, open_model(card, registry.path(name), settings), wanted, repeats)
    bar(len(chosen), max(len(chosen), 1))
    if as_json:
        for timing in timings:
            of_card = registry.card(timing.name).session.threads
            click.echo(json.dumps(dataclasses.asdict(timing) | {"threads": settings.threads or of_card}))
    else:
        _table(timings)


def _ready(registry: Registry) -> tuple[str, ...]:
    return tuple(card.name for card in registry.cards() if registry.status(card.name).state == "ready")


def _pixels(size: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", size)
    if match is None:
        raise UserError(f"--size {size}: expected width x height in pixels, for example 640x360.")
    return int(match[1]), int(match[2])


def _table(timings: list[Timing]) -> None:
    rows = [("MODEL", "OF", "SIZE", "MS", "LEAST MS", "PROVIDER")]
    for t in timings:
        of = "picture" if t.role == "detector" else "face"
        rows.append((t.name, of, f"{t.width_px}x{t.height_px}", f"{t.ms:.1f}", f"{t.least_ms:.1f}", t.provider))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
