"""`overt erasure`: proof that passers-by leave nothing behind."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click

from overt.cli.errors import UserError
from overt.cli.options import deployment_option
from overt.governance.deployment import Deployment
from overt.runtime.canary import Control, control, plant, refused, seconds_on_disk, wait_out
from overt.runtime.cluster import cluster_world, connect_redis
from overt.runtime.erasure import Verdict, examine
from overt.runtime.keys.deployment_keyring import open_keyring, open_missing_keyring
from overt.runtime.settings import load_settings

_SHOWN = 20


@click.group()
def erasure() -> None:
    """Proof that passers-by leave nothing behind."""


@erasure.command(short_help="Plant a canary, wait out its key, and search for what is left.")
@deployment_option
@click.option(
    "--search",
    "folders",
    multiple=True,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="A folder or file to search, again for each: the broker's data, logs, outputs, temporary files.",
)
@click.option(
    "--until-gone",
    "until_gone_s",
    type=click.FloatRange(min=1),
    help="Also wait, at most so many seconds, until the canary's ciphertext itself is off these disks; say how long.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def verify(deployment: Deployment, folders: tuple[Path, ...], until_gone_s: float | None, as_json: bool) -> None:
    """Plant a canary in a deployment, wait out its key, and search for what is left of it and of anybody.

    First the proof that the search is not blind: while its key lives, the canary's ciphertext must be found in the
    folders, and open. Once the key is gone no picture may lie in the clear, and no key that exists may open a payload
    whose own key's life is over. Everything else fails with exit code 7 and says what it found.

    Run it where the broker's folders can be read, with the settings of the services. It leaves two dead letters for
    each partition. It cannot see swap, core dumps, freed memory, or blocks of a disk that no file has any more.

    \b
    Examples:
      overt erasure verify -d deployment.yaml --search /var/lib/kafka --search /var/log/overt
    """
    settings = load_settings()
    world = cluster_world(deployment, settings, realtime=True, client="erasure")
    keyring = open_keyring(deployment, settings) if settings.keyring_file else None
    redis = connect_redis(settings)
    life_s = settings.transient_key_life_s
    canary = plant(world, redis)
    click.echo(f"a canary is planted; its key lives {life_s} s at most", err=True)
    seeing = control(canary, folders)
    waited_s = wait_out(redis, canary, life_s)
    verdict = examine(
        redis,
        keyring,
        deployment.deployment_id,
        folders,
        canary.known(),
        topic_prefix=world.prefix,
        slot_s=settings.transient_key_slot_s,
        life_s=life_s,
        missing=open_missing_keyring(deployment, settings),
    )
    failures = verdict.failures() + _blind(seeing, forgotten=refused(world, canary))
    gone_s = None
    if until_gone_s:
        gone_s = seconds_on_disk(canary, folders, until_gone_s, lambda text: click.echo(text, err=True))
    if as_json:
        more = {"control": asdict(seeing), "waited_s": waited_s, "off_disk_s": gone_s, "failures": failures}
        click.echo(json.dumps(_plain(verdict) | more))
    else:
        _print(seeing, waited_s, verdict)
        if until_gone_s:
            gone = "is still there" if gone_s is None else f"was gone after {gone_s:.0f} s"
            click.echo(f"the canary's ciphertext on disk {gone}")
        if not failures:
            click.echo("erasure is proven for what was searched")
    if failures:
        raise UserError("erasure is NOT proven: " + "; ".join(failures), 7)


def _blind(seeing: Control, *, forgotten: bool) -> list[str]:
    """Why the canary proves nothing; empty when it does."""
    failures = []
    if not seeing.passed:
        failures.append("the search is blind: name the folders in which this deployment's brokers keep their data")
    if not forgotten:
        failures.append("the process that sealed the canary can still open it")
    return failures


def _print(seeing: Control, waited_s: float, verdict: Verdict) -> None:
    click.echo(
        f"while the canary's key lived: {seeing.found} of its {seeing.planted} payloads were found, "
        f"{seeing.opened} opened"
    )
    click.echo(f"after {waited_s:.0f} s: {verdict.places} places, {verdict.bytes_searched / 1e6:.1f} MB searched")
    click.echo(f"pictures, contents of the canary or keys in the clear: {len(verdict.clear)}")
    _list(f"{seen.place} at byte {seen.offset}: {seen.what}" for seen in verdict.clear)
    click.echo(f"payloads whose key's life is over, opened all the same: {len(verdict.opened)}")
    _list(f"{payload.place} at byte {payload.offset}: opened by {key}" for payload, key in verdict.opened)
    click.echo(f"  passers-by's that none of the {verdict.keys_tried} keys there are opens: {verdict.transient_erased}")
    click.echo(f"  alerts' and watchlist's that none of them opens: {verdict.durable_erased}")
    click.echo(f"payloads whose key lives, passers-by's: {verdict.transient_alive}")
    click.echo(f"payloads whose key lives, alerts' and watchlist's: {verdict.durable_alive}")
    if verdict.durable_unjudged:
        click.echo(f"alerts' and watchlist's payloads not judged, for want of a keyring: {verdict.durable_unjudged}")
    _list(f"outlives its time: {name}" for name in verdict.outstaying)
    _list(f"Redis: {setting}" for setting in verdict.persisting)
    _list(
        f"compressed: {path} (set compression.type to none; sealed bytes gain nothing)" for path in verdict.compressed
    )
    _list(f"could not be read: {place}" for place in verdict.unreadable)


def _list(lines: Iterable[str]) -> None:
    every = list(lines)
    for line in every[:_SHOWN]:
        click.echo(f"  {line}")
    if len(every) > _SHOWN:
        click.echo(f"  and {len(every) - _SHOWN} more")


def _plain(verdict: Verdict) -> dict[str, object]:
    plain: dict[str, object] = {
        name: value for name, value in asdict(verdict).items() if name not in ("clear", "opened")
    }
    plain["clear"] = [[seen.place, seen.offset, seen.what] for seen in verdict.clear]
    plain["opened"] = [[payload.place, payload.offset, key] for payload, key in verdict.opened]
    return plain
