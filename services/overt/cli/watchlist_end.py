"""`overt watchlist destroy`: the end of a watchlist, in its file, on Kafka and in the memory of matchers."""

from __future__ import annotations

import getpass
import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import click
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from overt.cli.errors import UserError
from overt.cli.options import deployment_option
from overt.cli.watchlist_file import FILE, open_file, overwrite
from overt.cli.watchlist_live import changing
from overt.cli.watchlist_pseudonyms import deployment_key, write, write_pseudonyms
from overt.governance.deployment import Deployment
from overt.ports import Record
from overt.runtime.keys.deployment_key import DeploymentKey
from overt.runtime.keys.deployment_keyring import open_keyring
from overt.runtime.keys.derived import signing_key
from overt.runtime.keys.keyring import Keyring, entry_owner
from overt.runtime.settings import Settings, load_settings
from overt.runtime.watchlist.changes import PUBLISHED, By, WatchlistChanges
from overt.runtime.watchlist.file import WatchlistFile
from overt.runtime.world import now_us
from overt.watchlist.sealed import Destruction, Manifest, signed, statement

_PATH = click.Path(dir_okay=False, path_type=Path)


@click.command(short_help="Destroy a watchlist: its keys, its file, and a certificate of it.")
@click.argument("file", type=FILE, required=False)
@deployment_option
@click.option("--reason", required=True, help="Why it is destroyed, for the certificate.")
@click.option("--by", default=getpass.getuser, show_default="this account", help="Who destroys it.")
@click.option(
    "--published/--file-only",
    default=None,
    help="What becomes of a list that was published: --published destroys all of it on Kafka and in every matcher too, "
    "--file-only leaves matchers what they hold until they end.",
)
@click.option("--certificate", "certificate_file", type=_PATH, help="Where it is written; else beside FILE.")
@click.option(
    "--pseudonyms",
    "pseudonyms_file",
    type=_PATH,
    help="Also keep who was on it, by pseudonyms, for `overt watchlist was-listed`.",
)
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="With --published: seconds to wait until every matcher has forgotten it.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def destroy(
    file: Path | None,
    deployment: Deployment,
    reason: str,
    by: str,
    published: bool | None,
    certificate_file: Path | None,
    pseudonyms_file: Path | None,
    wait_s: float,
    yes: bool,
) -> None:
    """Destroy the watchlist in FILE for good: the keys of its entries, so that no copy can be opened, and FILE; with
    --published also all that is on the deployment's list on Kafka, from this file or not, and in matchers that run.

    A list that was published is destroyed in the file alone only where --file-only says so. Without FILE it is the
    list on Kafka. A signed certificate says what was destroyed, by whom and why, and what is not covered. Exit code 7
    when something is left: a key, or a matcher that has not confirmed in time.

    \b
    Examples:
      overt watchlist destroy list.watchlist -d deployment.yaml --reason "deployment over" --pseudonyms who.json
      overt watchlist destroy list.watchlist --published -d deployment.yaml --reason "deployment over"
    """
    settings = load_settings()
    keyring = open_keyring(deployment, settings)
    _demand_choice(file, keyring, published)
    certificate_file = certificate_file or _beside(file)
    if certificate_file.exists():
        raise UserError(f"{certificate_file} exists: name another file with --certificate", 8)
    key = deployment_key(settings)
    with _opened(file, deployment, settings, By(by, reason), published=bool(published)) as ending:
        if not yes:
            click.confirm(f"Destroy {ending.described(deployment)}, for good?", abort=True, err=True)
        if pseudonyms_file is not None:
            content = None if ending.manifest is None else ending.manifest.content_sha256
            write_pseudonyms(pseudonyms_file, deployment, ending.list_id, content, ending.subjects(), key)
        certificate = _destroyed(ending, deployment, keyring, wait_s, By(by, reason))
    if file is not None:
        overwrite(file)
    write(certificate_file, json.dumps(_signed(certificate, key), indent=2) + "\n")
    click.echo(f"destroyed: {certificate.keys_destroyed} keys; certificate: {certificate_file}")
    _demand_nothing_left(certificate)


@dataclass(slots=True)
class _Ending:
    """A list that is to be destroyed: in a file, on Kafka, or both."""

    sealed: WatchlistFile | None = None
    manifest: Manifest | None = None
    list_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """The file's; a list that was on Kafka only gets one now."""
    in_file: dict[str, str] = field(default_factory=dict)
    """By entry, its subject."""
    changes: WatchlistChanges | None = None
    listed: dict[str, Record] = field(default_factory=dict)
    """The entries on Kafka."""

    def entry_ids(self) -> list[str]:
        return list(dict.fromkeys([*self.in_file, *self.listed]))

    def subjects(self) -> set[str]:
        """Whoever is or was on the list, as far as the file, the topic and the audit know."""
        known = set(self.in_file.values())
        if self.changes is not None:
            known |= {self.changes.subject_of(record) for record in self.listed.values()}
            known |= {event["subject_id"] for event in self.changes.audited() if event["subject_id"]}
        return known

    def described(self, deployment: Deployment) -> str:
        more = len(self.entry_ids()) - len(self.in_file)
        on_kafka = f" and {more} more on Kafka" if self.changes is not None else ""
        return f"{len(self.in_file)} entries of {deployment.deployment_id}{on_kafka}"


def _demand_choice(file: Path | None, keyring: Keyring, published: bool | None) -> None:
    if file is None and not published:
        raise UserError("name the FILE, or the list on Kafka with --published")
    if published is None and keyring.get(PUBLISHED) is not None:
        raise UserError(
            "this deployment's list was published, and matchers that run hold it in memory: --published destroys it "
            "there too; --file-only destroys FILE and its keys and leaves matchers what they hold until they end",
            6,
        )


@contextmanager
def _opened(
    file: Path | None, deployment: Deployment, settings: Settings, by: By, *, published: bool
) -> Iterator[_Ending]:
    ending = _Ending()
    if file is not None:
        ending.sealed = open_file(file, deployment, settings)
        if ending.sealed.superseded():
            raise UserError(
                f"{file}: another list has taken its place (reseal, merge), to which its entries belong: delete "
                "the file, and destroy that list",
                6,
            )
        ending.manifest = ending.sealed.unproven_manifest()
        ending.list_id = ending.manifest.list_id
        ending.in_file = {row["entry_id"]: row["subject_id"] for row in ending.sealed.rows()}
    if not published:
        yield ending
        return
    with changing(deployment, by) as ending.changes:
        ending.listed = ending.changes.everybody()
        yield ending


def _destroyed(ending: _Ending, deployment: Deployment, keyring: Keyring, wait_s: float, by: By) -> Destruction:
    """1 the file's keys, 2 what is on Kafka: its keys, then tombstones, 3 what every matcher says."""
    ids, manifest = ending.entry_ids(), ending.manifest
    before = _keys(keyring, ids)
    if ending.sealed is not None:
        ending.sealed.destroy_keys()  # 1
    confirmed, missing = 0, 0
    if ending.changes is not None:
        for applied in ending.changes.wait(ending.changes.destroy(list(ending.listed)), wait_s):  # 2, 3
            confirmed, missing = applied.replicas, len(applied.missing)
    left = _keys(keyring, ids)
    published: Literal["never", "removed", "left"] = "never"
    if keyring.get(PUBLISHED) is not None:
        published = "left" if ending.changes is None else "removed"
    return Destruction(
        list_id=ending.list_id,
        deployment_id=deployment.deployment_id,
        content_sha256=manifest.content_sha256 if manifest else None,
        created_at_us=manifest.created_at_us if manifest else None,
        destroyed_at_us=now_us(),
        destroyed_by=by.actor,
        reason=by.reason,
        entries=len(ids),
        keys_destroyed=before - left,
        keys_left=left,
        files_overwritten=() if ending.sealed is None else (ending.sealed.path.name,),
        published=published,
        matchers=confirmed,
        matchers_missing=missing,
        statement=statement(held=published == "left" or missing > 0),
    )


def _keys(keyring: Keyring, entry_ids: Sequence[str]) -> int:
    return sum(keyring.get(entry_owner(entry_id)) is not None for entry_id in entry_ids)


def _demand_nothing_left(certificate: Destruction) -> None:
    if certificate.keys_left:
        raise UserError(f"{certificate.keys_left} entries can still be opened: destroy the keyring's file too", 7)
    if certificate.matchers_missing:
        raise UserError(
            f"{certificate.matchers_missing} matchers have not confirmed that they forgot the list: end them", 7
        )


def _signed(certificate: Destruction, key: DeploymentKey) -> dict[str, Any]:
    signing = signing_key(key, certificate.deployment_id)
    public = signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return signed(certificate, public.hex(), signing.sign(certificate.canonical()).hex())


def _beside(file: Path | None) -> Path:
    name = "watchlist" if file is None else file.name
    return (Path() if file is None else file.parent) / f"{name}.destroyed.json"
