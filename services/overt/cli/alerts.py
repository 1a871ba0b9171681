"""`overt alerts`: a downstream subscriber, and a person's judgement of an alert."""

from __future__ import annotations

import getpass
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from overt.cli.errors import UserError
from overt.cli.options import deployment_option, deployment_option_if_any
from overt.governance.deployment import Deployment
from overt.messages import Adjudication, Alert, Kind, Verdict
from overt.output.alerts_jsonl import alert_to_dict, fields_to_line
from overt.output.private import for_few
from overt.ports import KeyGone, Log, NotAuthentic, Record, Undecodable
from overt.runtime.centre import open_centre
from overt.runtime.cluster import cluster_world
from overt.runtime.logs import configure_logging
from overt.runtime.settings import Settings, load_settings
from overt.runtime.world import World, now_us


@click.group()
def alerts() -> None:
    """Alerts of a deployment on Kafka.

    \b
    Examples:
      overt alerts tail -d deployment.yaml
      overt alerts tail -d deployment.yaml --all | jq .subject_id
      overt alerts adjudicate ALERT_ID false -d deployment.yaml --note "another person"
    """


@alerts.command(short_help="Print alerts as they come, one JSON object a line.")
@deployment_option_if_any
@click.option(
    "--site",
    "sites",
    multiple=True,
    help="At a centre of many sites, where no deployment file is needed: the alerts of this site, again for each.",
)
@click.option("--all", "from_start", is_flag=True, help="Begin with the oldest alert that is kept, not with the next.")
@click.option("--count", type=click.IntRange(min=1), help="End after this many alerts.")
@click.option("--until-end", is_flag=True, help="End when everything that was there has been printed.")
@click.option(
    "--kind", type=click.Choice([k.value for k in Kind]), help="Only alerts about the wanted, or the missing."
)
@click.option(
    "--images",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the alerts' pictures; needs the keyring and its key.",
)
def tail(
    deployment: Deployment | None,
    sites: tuple[str, ...],
    from_start: bool,
    count: int | None,
    until_end: bool,
    kind: str | None,
    images: Path | None,
) -> None:
    """Print alerts as they come, one JSON object a line; a repeated alert_id is printed once.

    \b
    Examples:
      overt alerts tail -d deployment.yaml
      overt alerts tail -d deployment.yaml --until-end | jq .subject_id
      overt alerts tail -d deployment.yaml --all --images faces/
      overt alerts tail -d deployment.yaml --kind missing
      overt alerts tail --site site1 --site site2
    """
    settings = load_settings()
    configure_logging("WARNING", settings.log_format)
    if images is not None and sites:
        raise UserError("--images: a centre has no key to any picture; look at it at its site")
    if images is not None and settings.keyring_file is None and settings.missing_keyring_file is None:
        raise UserError("--images needs OVERT_KEYRING_FILE and OVERT_DEPLOYMENT_KEY_FILE: without keys nobody can look")
    incoming = _of_sites(settings, sites) if sites else _of_deployment(deployment, settings, images)
    seen: set[tuple[str, str]] = set()
    for record in _follow(incoming.log, incoming.topics, from_start=from_start or until_end, until_end=until_end):
        try:
            if kind is not None and incoming.peek(record)["kind"] != kind:
                continue
            fields = incoming.fields(record)
        except Undecodable as error:
            click.echo(f"overt: a record at offset {record.offset} is no alert: {error}", err=True)
            continue
        if (record.topic, fields["alert_id"]) in seen:
            continue
        seen.add((record.topic, fields["alert_id"]))
        _print(fields_to_line(fields))
        if count is not None and len(seen) >= count:
            return


@alerts.command(short_help="Record a person's judgement of an alert.")
@click.argument("alert_id")
@click.argument("verdict", type=click.Choice([v.value for v in Verdict]))
@deployment_option
@click.option("--by", default=getpass.getuser, show_default="this account", help="Who judges.")
@click.option("--note", help="Why.")
def adjudicate(alert_id: str, verdict: str, deployment: Deployment, by: str, note: str | None) -> None:
    """Record a person's judgement of an alert: true, false or unsure. It changes no alert; it is added to it.

    \b
    Examples:
      overt alerts adjudicate ALERT_ID false -d deployment.yaml --note "another person"
    """
    world = cluster_world(deployment, load_settings(), realtime=True, client="adjudicate")
    assert world.peek is not None
    if not is_on(world.log.read(world.topic("alerts")), world.peek, alert_id):
        raise UserError(f"no alert {alert_id} is on the topic: it never was, or its retention is over")
    judgement = Adjudication(
        adjudication_id=str(uuid.uuid4()),
        alert_id=alert_id,
        deployment_id=deployment.deployment_id,
        verdict=Verdict(verdict),
        by=by,
        adjudicated_at_us=now_us(),
        took_ms=None,
        note=note,
    )
    sink = world.sink()
    topic, partition = world.route(judgement)
    sink.produce(topic, key=judgement.key, value=world.codec.encode(judgement), partition=partition)
    sink.flush(10.0)
    sink.close()
    click.echo(f"{alert_id}: {verdict}, by {by}")


def is_on(alerts: Iterable[Record], peek: Callable[[Record], dict[str, Any]], alert_id: str) -> bool:
    """Whether the alert is among the records; what is no alert, as a broken subscriber may leave it, is passed over."""
    for record in alerts:
        with suppress(Undecodable):
            if peek(record)["alert_id"] == alert_id:
                return True
    return False


@dataclass(frozen=True, slots=True)
class _Incoming:
    """Where alerts come from. `fields`: what of one is shown."""

    log: Log
    topics: Sequence[str]
    peek: Callable[[Record], dict[str, Any]]
    fields: Callable[[Record], dict[str, Any]]


def _of_deployment(deployment: Deployment | None, settings: Settings, images: Path | None) -> _Incoming:
    if deployment is None:
        raise UserError("name a deployment file (-d, or OVERT_DEPLOYMENT); at a centre of many sites, --site")
    world = cluster_world(deployment, settings, realtime=True, client="tail")
    assert world.peek is not None
    return _Incoming(world.log, [world.topic("alerts")], world.peek, lambda record: _fields(world, record, images))


def _of_sites(settings: Settings, sites: Sequence[str]) -> _Incoming:
    centre = open_centre(settings, sites)

    def fields(record: Record) -> dict[str, Any]:
        found = centre.peek(record)
        collision = centre.collision(record, found)
        if collision is not None:
            click.echo(f"overt: {collision}", err=True)
        return found

    return _Incoming(centre.log, list(centre.topics), centre.peek, fields)


def _follow(log: Log, topics: Sequence[str], *, from_start: bool, until_end: bool) -> Iterator[Record]:
    if until_end:
        for topic in topics:
            yield from log.read(topic)
        return
    with ExitStack() as stack:
        followers = []
        for topic in topics:
            followers.append(log.follow(topic))
            stack.callback(followers[-1].close)
        for follower in followers:
            while not from_start and not follower.caught_up():
                follower.poll(1, 0.2)  # one at a time, or a new one could come along with the last old one
        while True:
            for follower in followers:
                yield from follower.poll(100, 0.2 / len(followers))


def _fields(world: World, record: Record, images: Path | None) -> dict[str, Any]:
    assert world.peek is not None
    if images is None:
        return world.peek(record)
    try:
        alert = world.codec.decode(record)
    except (KeyGone, NotAuthentic) as error:
        return {**world.peek(record), "images": f"cannot be opened ({type(error).__name__})"}
    assert isinstance(alert, Alert)
    try:
        images.mkdir(parents=True, exist_ok=True)
        _write(images / f"{alert.alert_id}.jpg", alert.probe_image.encoded("jpeg"))
        if alert.context is not None:
            _write(images / f"{alert.alert_id}.context.jpg", alert.context.encoded("jpeg"))
    except OSError as error:
        raise UserError(f"{error.filename or images}: cannot be written ({error.strerror})", 8) from error
    return alert_to_dict(alert)


def _write(path: Path, image: bytes) -> None:
    with open(path, "wb", opener=for_few) as file:
        file.write(image)


def _print(line: str) -> None:
    try:
        click.echo(line)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"standard output cannot be written ({error.strerror})", 8) from error
