"""`overt erasure`: proof that passers-by leave nothing behind."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from overt.cli.errors import UserError
from overt.cli.options import deployment_option
from overt.governance.deployment import Deployment
from overt.runtime.cluster import cluster_world, open_keyring
from overt.runtime.erasure import Verdict, examine, plant, seconds_on_disk, wait_out
from overt.runtime.redis_client import connect
from overt.runtime.settings import load_settings


@click.group()
def erasure() -> None:
    """Proof that passers-by leave nothing behind."""


@erasure.command()
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
    type=click.FloatRange(min=1),
    help="Also wait, at most so many seconds, until the canary's ciphertext itself is off these disks; say how long.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def verify(deployment: Deployment, folders: tuple[Path, ...], until_gone: float | None, as_json: bool) -> None:
    """Plant a canary in a deployment, wait out its key, and search for what is left of it and of anybody.

    Fails with exit code 7 when a picture is found in the clear, when any key that still exists opens a payload that is
    past its key's life, or when a place could not be read. Run it where the broker's folders can be read.

    \b
    overt erasure verify -d deployment.yaml --search /var/lib/kafka --search /var/log/overt
    """
    settings = load_settings()
    world = cluster_world(deployment, settings, realtime=True, client="erasure")
    keyring = open_keyring(deployment, settings) if settings.keyring_file else None
    redis = connect(settings.redis_url)
    life_s = settings.transient_key_life_s
    canary = plant(world)
    click.echo(f"a canary is planted; its key lives {life_s} s at most", err=True)
    wait_out(redis, deployment.deployment_id, life_s, lambda text: click.echo(text, err=True))
    verdict = examine(
        redis,
        keyring,
        deployment.deployment_id,
        folders,
        canary.contents,
        slot_s=settings.transient_key_slot_s,
        life_s=life_s,
    )
    gone_s = seconds_on_disk(canary, folders, until_gone) if until_gone else None
    if as_json:
        click.echo(json.dumps(_plain(verdict) | {"off_disk_s": gone_s}))
    else:
        _print(verdict)
        if until_gone:
            gone = "still there" if gone_s is None else f"gone after {gone_s:.0f} s"
            click.echo(f"ciphertext of the canary on disk: {gone}")
    if not verdict.passed:
        raise UserError("erasure is NOT proven: see above", 7)


def _print(verdict: Verdict) -> None:
    click.echo(f"searched: {verdict.places} places, {verdict.bytes_searched / 1e6:.1f} MB")
    click.echo(f"pictures or canary in the clear: {len(verdict.clear)}")
    for seen in verdict.clear[:20]:
        click.echo(f"  {seen.place} at byte {seen.offset}: {seen.what}")
    click.echo(
        f"passers-by's payloads past their key's life: {verdict.transient_erased + len(verdict.opened_transient)}"
    )
    click.echo(f"  opened by any of {verdict.keys_tried} keys that exist: {len(verdict.opened_transient)}")
    for payload, key in verdict.opened_transient[:20]:
        click.echo(f"  {payload.place} at byte {payload.offset}: opened by {key}")
    click.echo(f"passers-by's payloads whose key may still live: {verdict.transient_young}")
    click.echo(f"payloads of alerts and watchlist, readable until their time is over: {verdict.durable_readable}")
    click.echo(f"payloads of alerts and watchlist, erased: {verdict.durable_erased}")
    for place in verdict.unreadable:
        click.echo(f"could not be read: {place}")


def _plain(verdict: Verdict) -> dict[str, object]:
    plain = {k: v for k, v in asdict(verdict).items() if k not in ("clear", "opened_transient")}
    plain["clear"] = [asdict(seen) for seen in verdict.clear]
    plain["opened_transient"] = [[p.place, p.offset, key] for p, key in verdict.opened_transient]
    return plain | {"passed": verdict.passed}
