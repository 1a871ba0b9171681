"""`overt keys` and `overt deployment`: what an operator prepares before a deployment."""

from __future__ import annotations

import json
from pathlib import Path

import click

from overt.governance.deployment import WindowState, window_state
from overt.governance.loading import load_deployment
from overt.governance.schema import json_schema
from overt.runtime.keys.keyring import create_deployment_key
from overt.runtime.world import now_us

_WINDOW = {
    WindowState.BEFORE: "has not begun",
    WindowState.OPEN: "is open",
    WindowState.AFTER: "is over: nothing may be captured any more",
}


@click.group()
def keys() -> None:
    """The deployment key, which wraps the keyring."""


@keys.command(short_help="Write a new deployment key.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def create(file: Path) -> None:
    """Write a new random deployment key to FILE, readable by its owner only. It is never overwritten.

    Whoever has this file and the keyring can open watchlist entries and alert images: keep it as a secret, and apart.

    \b
    Examples:
      overt keys create /run/secrets/overt-key
    """
    create_deployment_key(file)
    click.echo(f"{file}: a new deployment key; name it in OVERT_DEPLOYMENT_KEY_FILE")


@click.group()
def deployment() -> None:
    """Deployment files."""


@deployment.command(short_help="Say everything that is wrong with a deployment file.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check(file: Path) -> None:
    """Say everything that is wrong with a deployment file, or that nothing is (exit code 2 or 0).

    Nothing is started and no camera is asked. That the window is over is said, and is no error of the file.

    \b
    Examples:
      overt deployment check deployment.yaml
    """
    loaded = load_deployment(file, check_files=True)
    cameras = "1 camera" if len(loaded.cameras) == 1 else f"{len(loaded.cameras)} cameras"
    start, end = loaded.window.start.isoformat(), loaded.window.end.isoformat()
    click.echo(f"{file}: nothing is wrong with it")
    click.echo(f"  {loaded.deployment_id}, {loaded.signature.value}, {cameras}")
    click.echo(f"  its window, {start} to {end}, {_WINDOW[window_state(loaded, now_us())]}")


@deployment.command(short_help="The JSON Schema of deployment files.")
def schema() -> None:
    """The JSON Schema of deployment files, for editors.

    \b
    Examples:
      overt deployment schema > deployment.schema.json
    """
    click.echo(json.dumps(json_schema(), indent=2))
