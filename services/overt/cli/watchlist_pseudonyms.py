"""`overt watchlist was-listed`: who was on a list that is gone, by pseudonyms."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from pydantic import ValidationError

from overt.cli.errors import UserError
from overt.cli.progress import say
from overt.cli.watchlist_file import FILE
from overt.governance.deployment import Deployment
from overt.runtime.keys.deployment_key import DeploymentKey, load_deployment_key
from overt.runtime.keys.derived import pseudonym_key
from overt.runtime.settings import Settings, SettingsError, load_settings
from overt.runtime.world import now_us
from overt.watchlist.sealed import Pseudonyms, hidden


@click.command("was-listed", short_help="Whether somebody was on a list that is gone.")
@click.argument("subject_id")
@click.option("--pseudonyms", "file", type=FILE, required=True, help="What the list's making or destruction wrote.")
def was_listed(subject_id: str, file: Path) -> None:
    """Whether SUBJECT_ID was on the list of which the pseudonyms were kept: "yes", or "no" with exit code 7.

    Nothing biometric is asked or kept. It needs the deployment key that the list was made with.

    \b
    Examples:
      overt watchlist was-listed s-17 --pseudonyms who.json
    """
    try:
        kept = Pseudonyms.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise UserError(f"{file}: holds no pseudonyms of a watchlist ({type(error).__name__})", 6) from None
    key = pseudonym_key(deployment_key(load_settings()), kept.deployment_id)
    found = kept.includes(subject_id, key)
    click.echo("yes" if found else "no")
    if not found:
        raise click.exceptions.Exit(7)


def write_pseudonyms(
    path: Path,
    deployment: Deployment,
    list_id: str,
    content_sha256: str | None,
    subjects: Iterable[str],
    key: DeploymentKey,
) -> None:
    """Writes who is on a list, by pseudonyms; `content_sha256` is that of its file, where it has one."""
    kept = Pseudonyms(
        list_id=list_id,
        deployment_id=deployment.deployment_id,
        content_sha256=content_sha256,
        written_at_us=now_us(),
        subjects=hidden(subjects, list_id, pseudonym_key(key, deployment.deployment_id)),
    )
    write(path, kept.model_dump_json(indent=2) + "\n")
    say(f"pseudonyms: {path}")


def deployment_key(settings: Settings) -> DeploymentKey:
    """The key that lists are made with. Raises SettingsError where none is named."""
    if settings.deployment_key_file is None:
        raise SettingsError("OVERT_DEPLOYMENT_KEY_FILE names no file: it is the key that the list was made with")
    return load_deployment_key(settings.deployment_key_file)


def write(path: Path, text: str) -> None:
    """Raises UserError where it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}", 8) from error
