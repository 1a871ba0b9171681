"""`overt guard`: whether a site is paused for false alerts, and a person's decision to resume it."""

from __future__ import annotations

import getpass
import json
import uuid
from contextlib import suppress
from dataclasses import asdict

import click

from overt.cli.errors import UserError
from overt.cli.options import deployment_option
from overt.governance.deployment import Deployment
from overt.messages import GuardState, SiteGuard
from overt.ports import Undecodable
from overt.runtime.cluster import cluster_world
from overt.runtime.guard import audit_of
from overt.runtime.logs import configure_logging
from overt.runtime.settings import load_settings
from overt.runtime.world import World, now_us
from overt.statistics.pause import resumed
from overt.watchlist.sealed import moment


@click.group()
def guard() -> None:
    """The guard of a site pauses it by itself when its false alerts leave their bound (`guard` in the deployment file).

    \b
    Examples:
      overt guard status -d deployment.yaml
      overt guard resume -d deployment.yaml --reason "threshold raised to 0.96, decision 2026/052"
    """


@guard.command(short_help="Whether the site may capture, since when and why.")
@deployment_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(deployment: Deployment, as_json: bool) -> None:
    """Whether the site may capture, since when and why. Exit code 7 when it is paused.

    \b
    Examples:
      overt guard status -d deployment.yaml
      overt guard status -d deployment.yaml --json | jq -r .reason
    """
    last = _last(_world(deployment), deployment.deployment_id)
    if last is None:
        site_id = deployment.site.site_id
        click.echo(json.dumps({"site_id": site_id, "state": "open"}) if as_json else f"{site_id}: open, never paused")
        return
    click.echo(json.dumps(asdict(last)) if as_json else _line(last))
    if last.state is GuardState.PAUSED:
        raise UserError(f"{last.site_id} is paused; find out why before `overt guard resume`", 7)


@guard.command(short_help="Let a paused site capture again.")
@deployment_option
@click.option("--reason", required=True, help="Why, for the audit.")
@click.option("--by", default=getpass.getuser, show_default="this account", help="Who does it, for the audit.")
def resume(deployment: Deployment, reason: str, by: str) -> None:
    """Let a paused site capture again. The guard begins anew: what paused it is not weighed a second time.

    \b
    Examples:
      overt guard resume -d deployment.yaml --reason "threshold raised to 0.96, decision 2026/052"
    """
    world = _world(deployment)
    last = _last(world, deployment.deployment_id)
    if last is None or last.state is GuardState.OPEN:
        raise UserError(f"{deployment.site.site_id} is not paused: there is nothing to resume")
    if not reason.strip():
        raise UserError("--reason: say why, in words; it stays in the audit")
    said = resumed(last, by, reason, now_us())
    sink = world.sink()
    try:
        for message in (said, audit_of(said, str(uuid.uuid4()))):
            topic, _ = world.route(message)
            sink.produce(topic, key=message.key, value=world.codec.encode(message), partition=0)
        sink.flush(10.0)
    finally:
        sink.close()
    click.echo(_line(said))


def _world(deployment: Deployment) -> World:
    settings = load_settings()
    configure_logging("WARNING", settings.log_format)
    return cluster_world(deployment, settings, realtime=True, client="guard")


def _last(world: World, deployment_id: str) -> SiteGuard | None:
    """What was said last of the deployment's site."""
    last = None
    for record in world.log.read(world.topic("guard")):
        with suppress(Undecodable):
            said = world.codec.decode(record)
            if isinstance(said, SiteGuard) and said.deployment_id == deployment_id:
                last = said
    return last


def _line(said: SiteGuard) -> str:
    return f"{said.site_id}: {said.state.value} since {moment(said.at_us)}, by {said.actor}: {said.reason}"
