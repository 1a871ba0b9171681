"""`overt models`: which models are known, obtaining and checking their files."""

from __future__ import annotations

import json
import sys

import click

from overt.models.obtain import Progress, Step
from overt.runtime.loaded import open_registry
from overt.runtime.settings import load_settings


@click.group()
def models() -> None:
    """Models and their files.

    \b
    overt models list
    overt models pull centerface dlib-resnet-v1
    """


@models.command("list")
def list_models() -> None:
    """Every known model, its licence, and whether its file is here."""
    registry = open_registry(load_settings())
    for card in registry.cards():
        status = registry.status(card.name)
        default = "default" if card.default else ""
        click.echo(f"{card.name:<18} {card.role:<9} {card.licence:<12} {status.state:<8} {default}")


@models.command()
@click.argument("names", nargs=-1)
def pull(names: tuple[str, ...]) -> None:
    """Obtain models (the default ones without NAMES), check their sha256 and convert them."""
    registry = open_registry(load_settings())
    wanted = names or tuple(card.name for card in registry.cards() if card.default)
    for name in wanted:
        path = registry.pull(name, say_progress)
        click.echo(f"{name}: {path}")


@models.command()
@click.argument("names", nargs=-1)
def verify(names: tuple[str, ...]) -> None:
    """Hash model files again; exit code 3 when one is missing or wrong."""
    registry = open_registry(load_settings())
    wrong = False
    for name in names or tuple(card.name for card in registry.cards()):
        status = registry.verify(name)
        wrong |= status.state != "ready"
        click.echo(f"{name}: {status.state}" + (f": {status.problem}" if status.problem else ""))
    if wrong:
        raise SystemExit(3)


@models.command()
@click.argument("name")
def show(name: str) -> None:
    """A model's card as JSON."""
    card = open_registry(load_settings()).card(name)
    click.echo(json.dumps(card.model_dump(mode="json"), indent=2))


def say_progress(progress: Progress) -> None:
    """How far a pull has come, on standard error; on a terminal in one line."""
    done = f" {progress.done_bytes / 1e6:.0f} of {progress.total_bytes / 1e6:.0f} MB" if progress.total_bytes else ""
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{progress.name}: {progress.step.value}{done}", err=True, nl=progress.step is Step.READY)
    elif progress.done_bytes in (0, progress.total_bytes) and progress.step is not Step.READY:
        click.echo(f"{progress.name}: {progress.step.value}{done}", err=True)
