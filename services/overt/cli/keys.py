"""`overt keys` and `overt deployment`: what an operator prepares before a deployment."""

from __future__ import annotations

import json
from pathlib import Path

import click

from overt.governance.loading import load_deployment
from overt.governance.schema import json_schema
from overt.runtime.keyring import create_deployment_key


@click.group()
def keys() -> None:
    """The deployment key, which wraps the keyring."""


@keys.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def create(file: Path) -> None:
    """Write a new random deployment key to FILE, readable by its owner only. It is never overwritten.

    Whoever has this file and the keyring can open watchlist entries and alert images: keep it as a secret, and apart.
    """
    create_deployment_key(file)
    click.echo(f"{file}: a new deployment key; name it in OVERT_DEPLOYMENT_KEY_FILE")


@click.group()
def deployment() -> None:
    """Deployment files."""


@deployment.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check(file: Path) -> None:
    """Say everything that is wrong with a deployment file, or that nothing is (exit code 2 or 0)."""
    loaded = load_deployment(file, check_files=True)
    click.echo(f"{file}: {loaded.deployment_id}: {len(loaded.cameras)} cameras, {loaded.signature.value}")


@deployment.command()
def schema() -> None:
    """The JSON Schema of deployment files, for editors."""
    click.echo(json.dumps(json_schema(), indent=2))
