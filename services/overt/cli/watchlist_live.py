"""`overt watchlist update | remove | log`: changing the list of a deployment while its matchers run.

What needs models is elsewhere (`overt.cli.watchlist_build`): a removal does not wait for their libraries to load.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import click
import numpy as np

from overt.cli.errors import UserError
from overt.cli.options import deployment_option
from overt.cli.progress import say, tell
from overt.governance.deployment import Deployment
from overt.messages import AuditAction, WatchlistEntry
from overt.ports import KeyGone
from overt.runtime.cluster import cluster_world, open_replicas
from overt.runtime.keys.deployment_keyring import open_keyring
from overt.runtime.logs import configure_logging
from overt.runtime.settings import load_settings
from overt.runtime.watchlist.changes import Applied, By, Change, NotListed, WatchlistChanges
from overt.runtime.world import now_us
from overt.watchlist.sealed import moment

F = TypeVar("F", bound=Callable[..., Any])


def accountable(command: F) -> F:
    """The options of every change: who, why, and how long to wait for the matchers."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON object for each change."),
        click.option(
            "--wait",
            "wait_s",
            type=click.FloatRange(min=0),
            default=10.0,
            show_default=True,
            help="Seconds to wait until every matcher has applied all of it.",
        ),
        click.option("--by", default=getpass.getuser, show_default="this account", help="Who does it, for the audit."),
        click.option("--reason", required=True, help="Why, for the audit."),
    ):
        command = option(command)
    return command


@click.command(short_help="Change entries of the list, while matchers run.")
@click.argument("entry_ids", nargs=-1)
@deployment_option
@click.option("--subject", "subjects", multiple=True, help="Every entry of this subject.")
@click.option("--valid-until", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="New end, with offset from UTC.")
@click.option("--reviewer", help="Who reviewed the entry.")
@click.option("--notes", help="New notes for the operator.")
@accountable
def update(
    entry_ids: Sequence[str],
    deployment: Deployment,
    subjects: Sequence[str],
    valid_until: datetime | None,
    reviewer: str | None,
    notes: str | None,
    reason: str,
    by: str,
    wait_s: float,
    as_json: bool,
) -> None:
    """Change what entries say, by their ids or by --subject; their images and vectors stay.

    \b
    Examples:
      overt watchlist update --subject s-17 --valid-until 2026-05-14T14:00:00+0100 -d deployment.yaml --reason "bail"
    """
    fields: dict[str, Any] = {"reviewer": reviewer, "notes": notes}
    if valid_until is not None:
        fields["valid_until_us"] = min(round(valid_until.timestamp() * 1e6), deployment.window.end_us)
    fields = {name: value for name, value in fields.items() if value is not None}
    if not fields:
        raise UserError("say what is changed: --valid-until, --reviewer or --notes")
    with changing(deployment, By(by, reason)) as changes:
        records = changes.listed(entry_ids, subjects)
        entries = [entry for record in records.values() if (entry := changes.opened(record)) is not None]
        _demand_all(entry_ids, subjects, entries)
        changed = [replace(entry, **fields) for entry in entries]
        report(changes, changes.put(changed, AuditAction.ENTRY_UPDATED), wait_s, as_json=as_json)


@click.command(short_help="Remove people from the list, for good, while matchers run.")
@click.argument("entry_ids", nargs=-1)
@deployment_option
@click.option("--subject", "subjects", multiple=True, help="Every entry of this subject.")
@click.option("--all", "everybody", is_flag=True, help="Every entry of the list.")
@accountable
def remove(
    entry_ids: Sequence[str],
    deployment: Deployment,
    subjects: Sequence[str],
    everybody: bool,
    reason: str,
    by: str,
    wait_s: float,
    as_json: bool,
) -> None:
    """Remove entries by their ids, by --subject or --all: their keys are destroyed, so that nothing of them can be
    opened and no alert is raised about them from now on, and every running matcher forgets them.

    A removed entry does not come back: who is listed again gets a new entry, from an image with another file name.

    \b
    Examples:
      overt watchlist remove --subject s-17 -d deployment.yaml --reason "warrant withdrawn"
      overt watchlist remove ENTRY_ID ENTRY_ID -d deployment.yaml --reason "wrong photograph"
    """
    if not entry_ids and not subjects and not everybody:
        raise UserError("say who is removed: ENTRY_ID, --subject ID or --all")
    with changing(deployment, By(by, reason)) as changes:
        subject_of: dict[str, str] = {}
        if subjects or everybody:
            records = changes.everybody() if everybody else changes.listed(entry_ids, subjects)
            subject_of = {name: changes.subject_of(record) for name, record in records.items()}
            if missing := set(subjects) - set(subject_of.values()):
                raise UserError(f"not on the list: {', '.join(sorted(missing))}", 6)
        gone = list(dict.fromkeys([*entry_ids, *subject_of]))
        report(changes, changes.remove(gone, subject_of.get), wait_s, as_json=as_json)


@click.command(short_help="Who changed the list, when and why.")
@deployment_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def log(deployment: Deployment, as_json: bool) -> None:
    """The audit of what was done to the deployment's list, the oldest first.

    \b
    Examples:
      overt watchlist log -d deployment.yaml
      overt watchlist log -d deployment.yaml --json | jq -r .reason
    """
    with changing(deployment, By("", "")) as changes:
        for event in changes.audited():
            if as_json:
                tell(json.dumps(event))
            else:
                about = " ".join(filter(None, (event["subject_id"], event["entry_id"])))
                tell(f"{moment(event['at_us'])}  {event['action']}  {about}  by {event['actor']}: {event['reason']}")


@contextmanager
def changing(deployment: Deployment, by: By) -> Iterator[WatchlistChanges]:
    settings = load_settings()
    configure_logging("WARNING", settings.log_format)
    changes = WatchlistChanges(
        cluster_world(deployment, settings, realtime=True, client="watchlist"),
        open_keyring(deployment, settings),
        open_replicas(deployment, settings),
        now_us,
        by,
    )
    try:
        yield changes
    except NotListed as error:
        raise UserError(str(error), 6) from None
    except KeyGone as error:
        raise UserError(f"{error}; a removed entry does not come back: give the image another file name", 6) from None
    finally:
        changes.close()


def _demand_all(entry_ids: Sequence[str], subjects: Sequence[str], entries: Sequence[WatchlistEntry]) -> None:
    found = {entry.entry_id for entry in entries} | {entry.subject_id for entry in entries}
    if missing := [name for name in (*entry_ids, *subjects) if name not in found]:
        raise UserError(f"not on the list: {', '.join(missing)}", 6)


def report(changes: WatchlistChanges, published: Sequence[Change], wait_s: float, *, as_json: bool) -> None:
    """Tells what became of each change. Raises UserError where a matcher has not applied one in time."""
    applied = []
    for done in changes.wait(published, wait_s):
        applied.append(done)
        tell(json.dumps(_as_dict(done)) if as_json else _as_line(done))
    times_ms = [1000 * done.took_s for done in applied if done.took_s is not None]
    if len(times_ms) > 1:
        p50, p95 = np.percentile(times_ms, [50, 95])
        say(f"{len(times_ms)} changes: until the last matcher had applied them p50 {p50:.0f} ms, p95 {p95:.0f} ms")
    if applied and not any(done.replicas for done in applied):
        say("no matcher runs: the change counts as soon as one does")
    if late := {replica for done in applied for replica in done.missing}:
        raise UserError(f"{len(late)} matchers have not applied everything after {wait_s:g} s; see their logs", 7)


def _as_dict(done: Applied) -> dict[str, Any]:
    return {
        "action": done.change.action.value,
        "entry_id": done.change.entry_id,
        "subject_id": done.change.subject_id,
        "matchers": done.replicas,
        "missing": list(done.missing),
        "took_ms": None if done.took_s is None else round(1000 * done.took_s, 1),
    }


def _as_line(done: Applied) -> str:
    what = done.change.action.value.removeprefix("watchlist_entry_")
    who = f"{done.change.entry_id} of {done.change.subject_id}" if done.change.subject_id else done.change.entry_id
    count = done.replicas + len(done.missing)
    matchers = "1 matcher" if count == 1 else f"{count} matchers"
    took = "" if done.took_s is None else f" in {1000 * done.took_s:.0f} ms"
    return f"{what} {who}: applied by {done.replicas} of {matchers}{took}"
