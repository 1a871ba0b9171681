"""`overt watchlist show | verify`: what a sealed watchlist file holds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from overt.cli.errors import UserError
from overt.cli.options import deployment_option
from overt.cli.progress import Bar
from overt.governance.deployment import Deployment
from overt.runtime.keys.deployment_keyring import open_keyring
from overt.runtime.loaded import open_registry
from overt.runtime.settings import Settings, load_settings
from overt.runtime.watchlist.file import WatchlistFile
from overt.runtime.world import now_us
from overt.watchlist.sealed import Manifest, moment

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
"""The type of an argument that names a file."""


@click.command(short_help="What a sealed watchlist file holds, without a biometric.")
@click.argument("file", type=FILE)
@deployment_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the manifest, and the entries.")
def show(file: Path, deployment: Deployment, as_json: bool) -> None:
    """What the sealed watchlist FILE holds: its manifest, proven, and a line for each entry. No image, no vector.

    \b
    Examples:
      overt watchlist show list.watchlist -d deployment.yaml
      overt watchlist show list.watchlist -d deployment.yaml --json | jq .manifest
    """
    sealed = open_file(file, deployment, load_settings())
    manifest, rows = sealed.manifest(), list(sealed.rows())
    if as_json:
        click.echo(json.dumps({"manifest": manifest.model_dump(), "entries": rows}, indent=2))
        return
    for line in _described(manifest):
        click.echo(line)
    for row in rows:
        until = moment(row["valid_until_us"])
        click.echo(f"  {row['subject_id']}  {row['category']} ({row['kind']})  until {until}  {row['entry_id']}")


def _described(manifest: Manifest) -> list[str]:
    categories = ", ".join(f"{name} {count}" for name, count in manifest.by_category.items())
    over = " (over)" if now_us() >= manifest.expires_at_us else ""
    return [
        f"watchlist {manifest.list_id} of {manifest.deployment_id}",
        f"  {manifest.entries} entries of {manifest.subjects} subjects: {categories}",
        f"  made {moment(manifest.created_at_us)}, ends {moment(manifest.expires_at_us)}{over}",
        f"  model space {manifest.space_id} ({manifest.embedder})",
        f"  sha256 of its content {manifest.content_sha256}",
    ]


@click.command(short_help="Prove that a sealed watchlist file can be used, entry by entry.")
@click.argument("file", type=FILE)
@deployment_option
def verify(file: Path, deployment: Deployment) -> None:
    """Prove that FILE is what was written, belongs to the deployment and its model, has not ended, and opens.

    Every entry is opened and none is kept. Exit code 6 when the file cannot be used, 7 when entries do not open.

    \b
    Examples:
      overt watchlist verify list.watchlist -d deployment.yaml
    """
    settings = load_settings()
    findings = open_file(file, deployment, settings).verify(_space_of(deployment, settings), Bar("opening, entries"))
    for finding in findings:
        click.echo(f"entry {finding.entry_id}: {finding.why}")
    if findings:
        raise UserError(f"{file}: {len(findings)} entries cannot be used; the reasons stand above", 7)
    click.echo(f"{file}: every entry opens")


def open_file(file: Path, deployment: Deployment, settings: Settings) -> WatchlistFile:
    """A sealed watchlist file with the deployment's keyring. Raises SettingsError where none is named."""
    return WatchlistFile(file, deployment.deployment_id, open_keyring(deployment, settings), now_us)


def _space_of(deployment: Deployment, settings: Settings) -> str:
    return open_registry(settings).embedder(deployment.models.embedder).space_id


def overwrite(file: Path) -> None:
    """Overwrites a file once and removes it. What protects are the destroyed keys; this takes the ciphertext too."""
    with file.open("r+b") as handle:
        left = os.fstat(handle.fileno()).st_size
        while left > 0:
            left -= handle.write(bytes(min(left, 1 << 20)))
        handle.flush()
        os.fsync(handle.fileno())
    file.unlink()
