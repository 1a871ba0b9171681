"""`overt watchlist show | verify | destroy | was-listed`: a sealed watchlist file, from its making to its end."""

from __future__ import annotations

import getpass
import json
import os
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from overt.cli.errors import UserError
from overt.cli.options import deployment_option
from overt.cli.progress import Bar, say
from overt.governance.deployment import Deployment
from overt.runtime.deployment_key import DeploymentKey, load_deployment_key
from overt.runtime.deployment_keyring import open_keyring
from overt.runtime.derived_keys import pseudonym_key, signing_key
from overt.runtime.loaded import open_registry
from overt.runtime.settings import Settings, SettingsError, load_settings
from overt.runtime.watchlist_file import WatchlistFile
from overt.runtime.world import now_us
from overt.watchlist.sealed import Destruction, Manifest, Pseudonyms, moment, pseudonyms, signed

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(short_help="What a sealed watchlist file holds, without a biometric.")
@click.argument("file", type=_FILE)
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
@click.argument("file", type=_FILE)
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


@click.command(short_help="Destroy a watchlist: its keys, its file, and a certificate of it.")
@click.argument("file", type=_FILE)
@deployment_option
@click.option("--reason", required=True, help="Why it is destroyed, for the certificate.")
@click.option("--by", default=None, help="Who destroys it; without it, the name of the user who calls.")
@click.option(
    "--certificate",
    "certificate_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the certificate is written; without it, beside FILE.",
)
@click.option(
    "--pseudonyms",
    "pseudonyms_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also keep who was on it, by pseudonyms, for `overt watchlist was-listed`.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def destroy(
    file: Path,
    deployment: Deployment,
    reason: str,
    by: str | None,
    certificate_file: Path | None,
    pseudonyms_file: Path | None,
    yes: bool,
) -> None:
    """Destroy the watchlist in FILE for good: the keys of its entries, so that no copy can be opened, and FILE.

    Matchers that run drop its entries when they next look; `overt watchlist remove` tells them at once. A signed
    certificate says what was destroyed, by whom and why.

    \b
    Examples:
      overt watchlist destroy list.watchlist -d deployment.yaml --reason "deployment over" --pseudonyms who.json
    """
    settings = load_settings()
    sealed = open_file(file, deployment, settings)
    manifest = sealed.unproven_manifest()
    certificate_file = certificate_file or file.with_name(f"{file.name}.destroyed.json")
    if certificate_file.exists():
        raise UserError(f"{certificate_file} exists: name another file with --certificate", 8)
    if not yes:
        click.confirm(
            f"Destroy {manifest.entries} entries of {manifest.deployment_id}, for good?", abort=True, err=True
        )
    key = _deployment_key(settings)
    if pseudonyms_file is not None:
        write_pseudonyms(pseudonyms_file, sealed, manifest, key)
    destroyed, left = sealed.destroy_keys()
    _overwrite(file)
    certificate = Destruction(
        list_id=manifest.list_id,
        deployment_id=manifest.deployment_id,
        content_sha256=manifest.content_sha256,
        created_at_us=manifest.created_at_us,
        destroyed_at_us=now_us(),
        destroyed_by=by or getpass.getuser(),
        reason=reason,
        entries=manifest.entries,
        keys_destroyed=destroyed,
        keys_left=left,
        files_overwritten=(file.name,),
    )
    _write(certificate_file, json.dumps(_signed(certificate, key), indent=2) + "\n")
    click.echo(f"destroyed: {destroyed} keys; certificate: {certificate_file}")
    if left:
        raise UserError(f"{left} entries can still be opened: destroy the keyring's file too", 7)


@click.command("was-listed", short_help="Whether somebody was on a list that is gone.")
@click.argument("subject_id")
@click.option("--pseudonyms", "file", type=_FILE, required=True, help="What the list's making or destruction wrote.")
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
    key = pseudonym_key(_deployment_key(load_settings()), kept.deployment_id)
    found = kept.includes(subject_id, key)
    click.echo("yes" if found else "no")
    if not found:
        raise click.exceptions.Exit(7)


def open_file(file: Path, deployment: Deployment, settings: Settings) -> WatchlistFile:
    """A sealed watchlist file with the deployment's keyring. Raises SettingsError where none is named."""
    return WatchlistFile(file, deployment.deployment_id, open_keyring(deployment, settings), now_us)


def write_pseudonyms(path: Path, sealed: WatchlistFile, manifest: Manifest, key: DeploymentKey) -> None:
    """Writes who is on a list, by pseudonyms."""
    subjects = [row["subject_id"] for row in sealed.rows()]
    kept = pseudonyms(manifest, subjects, pseudonym_key(key, manifest.deployment_id))
    _write(path, kept.model_dump_json(indent=2) + "\n")
    say(f"pseudonyms: {path}")


def _signed(certificate: Destruction, key: DeploymentKey) -> dict[str, Any]:
    signing = signing_key(key, certificate.deployment_id)
    public = signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return signed(certificate, public.hex(), signing.sign(certificate.canonical()).hex())


def _deployment_key(settings: Settings) -> DeploymentKey:
    if settings.deployment_key_file is None:
        raise SettingsError("OVERT_DEPLOYMENT_KEY_FILE names no file: it is the key that the list was made with")
    return load_deployment_key(settings.deployment_key_file)


def _space_of(deployment: Deployment, settings: Settings) -> str:
    return open_registry(settings).embedder(deployment.models.embedder).space_id


def _overwrite(file: Path) -> None:
    """Overwrites a file once and removes it. What protects are the destroyed keys; this takes the ciphertext too."""
    with file.open("r+b") as handle:
        left = os.fstat(handle.fileno()).st_size
        while left > 0:
            left -= handle.write(bytes(min(left, 1 << 20)))
        handle.flush()
        os.fsync(handle.fileno())
    file.unlink()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}", 8) from error
