"""`overt watchlist diff | merge | reseal`: sealed lists that are compared, joined and renewed. No image is needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from overt.cli.errors import UserError
from overt.cli.options import deployment_option
from overt.cli.progress import Bar, say
from overt.cli.watchlist_file import FILE, open_file, overwrite
from overt.governance.deployment import Deployment
from overt.messages import WatchlistEntry
from overt.runtime.loaded import LoadedModels
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings, load_settings
from overt.runtime.watchlist.file import WatchlistFile
from overt.runtime.world import now_us
from overt.watchlist.editing import Edited, differences, merged, renewed
from overt.watchlist.report import advice
from overt.watchlist.sealed import Manifest
from overt.watchlist.twins import Alike, resemblances

_OUT = click.Path(dir_okay=False, path_type=Path)
_MOST_PAIRS = 50


@click.command(short_help="Who came, who went and what changed between two sealed lists.")
@click.argument("before", type=FILE)
@click.argument("after", type=FILE)
@deployment_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each difference.")
def diff(before: Path, after: Path, deployment: Deployment, as_json: bool) -> None:
    """What differs from BEFORE to AFTER, two sealed lists of one deployment. Nothing biometric is opened.

    \b
    Examples:
      overt watchlist diff monday.watchlist tuesday.watchlist -d deployment.yaml
    """
    settings = load_settings()
    files = [open_file(path, deployment, settings) for path in (before, after)]
    for file in files:
        file.manifest()  # proven, or refused by name
    found = differences(*(file.rows() for file in files))
    for one in found:
        fields = f": {', '.join(one.fields)}" if one.fields else ""
        click.echo(json.dumps(asdict(one)) if as_json else f"{one.what} {one.subject_id} ({one.entry_id}){fields}")
    if not found and not as_json:
        click.echo("the same people are on both, with the same particulars")


@click.command(short_help="Join sealed lists into one.")
@click.argument("files", type=FILE, nargs=-1, required=True)
@deployment_option
@click.option("--out", required=True, type=_OUT, help="The sealed file to be written.")
def merge(files: Sequence[Path], deployment: Deployment, out: Path) -> None:
    """Join FILES, sealed lists of one deployment, into one, and name those on it who resemble each other.

    Of an entry that is on several lists, what was written last counts. Who was removed from the deployment's list does
    not come back. A subject in two categories, or under two spellings, is refused. FILES end: no copy of them is
    accepted afterwards, since their entries are those of the new list.

    \b
    Examples:
      overt watchlist merge north.watchlist south.watchlist --out street.watchlist -d deployment.yaml
    """
    settings = load_settings()
    models = LoadedModels(deployment, settings, Metrics())
    sealed = [open_file(path, deployment, settings) for path in files]
    manifests = [file.manifest() for file in sealed]
    edited = merged(file.read(models.embedder.space_id) for file in sealed)
    if edited.problems:
        raise UserError("\n  ".join(["the lists cannot be joined:", *edited.problems]), 6)
    _tell_resemblances(edited.entries, deployment, models)
    _write(edited, out, deployment, settings, models)
    for file, manifest in zip(sealed, manifests, strict=True):
        _end(file, manifest, out)


@click.command(short_help="Renew a sealed list: without who has left it, until the window's end.")
@click.argument("file", type=FILE)
@deployment_option
@click.option("--out", type=_OUT, help="Where the renewed list is written; without it, in the place of FILE.")
@click.option("--reviewer", help="Who has reviewed every entry for this renewal.")
def reseal(file: Path, deployment: Deployment, out: Path | None, reviewer: str | None) -> None:
    """Write the list in FILE anew, as of now, and end FILE: no copy of it is accepted afterwards.

    Who was removed, or whose validity is over, is left out. Who was listed until the list's end is listed until the
    end of the deployment's window as it is now, or for as long as the category allows. Do it before the list ends:
    with its end its keys are destroyed.

    \b
    Examples:
      overt watchlist reseal street.watchlist -d deployment.yaml --reviewer "Sgt 114"
      overt watchlist publish -d deployment.yaml          # where the list is on Kafka
    """
    settings = load_settings()
    models = LoadedModels(deployment, settings, Metrics())
    sealed = open_file(file, deployment, settings)
    manifest = sealed.manifest()
    entries = sealed.read(models.embedder.space_id, Bar("opening, entries"))
    edited = renewed(entries, deployment, ended_us=manifest.expires_at_us, now_us=now_us(), reviewer=reviewer)
    _write(edited, out or file, deployment, settings, models)
    _end(sealed, manifest, out or file)


def _end(sealed: WatchlistFile, manifest: Manifest, successor: Path) -> None:
    """Another list has taken its place."""
    sealed.supersede(manifest)
    if sealed.path.resolve() != successor.resolve():
        overwrite(sealed.path)


def _write(edited: Edited, out: Path, deployment: Deployment, settings: Settings, models: LoadedModels) -> None:
    for sentence in edited.left_out:
        say(f"left out: {sentence}")
    manifest = open_file(out, deployment, settings).write(
        edited.entries,
        space_id=models.embedder.space_id,
        embedder=models.embedder.name,
        expires_at_us=deployment.window.end_us,
        progress=Bar("sealing, entries"),
    )
    click.echo(f"{out}: {manifest.entries} entries of {manifest.subjects} subjects, {len(edited.left_out)} left out")


def _tell_resemblances(entries: Sequence[WatchlistEntry], deployment: Deployment, models: LoadedModels) -> None:
    thresholds = {c.category_id: models.thresholds(c) for c in deployment.watchlist.categories}
    alike = {name: Alike(found.match, found.strong) for name, found in thresholds.items()}
    found = resemblances(entries, alike, models.laxest, Bar("comparing, images"))
    subject = {entry.entry_id: entry.subject_id for entry in entries}
    for pair in found.pairs[:_MOST_PAIRS]:
        who = f"{subject[pair.entry_id]} ({pair.entry_id}) and {subject[pair.other_id]} ({pair.other_id})"
        click.echo(f"{who}: similarity {pair.similarity:.3f}: {advice(pair)}")
    if found.in_all > _MOST_PAIRS:
        click.echo(f"and {found.in_all - min(len(found.pairs), _MOST_PAIRS)} more pairs")
