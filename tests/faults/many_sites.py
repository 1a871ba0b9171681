"""`make many-sites`: two sites and a centre, and what becomes of alerts and statistics when the line to one is cut for
two minutes, when MirrorMaker is killed, when the centre's broker is; then a search of the centre's disk.

    python -m tests.faults.many_sites
    python -m tests.faults.many_sites --cut-s 20
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from tests.support.many_sites import SITES, ManySites
from tests.support.many_sites_search import search_centre
from tests.support.redis_server import RedisServer

CUT, WHOLE = SITES
_CALM_S = 10.0
_CAUGHT_UP_S = 300.0
_HEAD = ("what happened", "seconds", "sent meanwhile", "missing", "doubled", "all there after")


@click.command(help=__doc__.replace("\n\n    python", "\n\n\b\nExamples:\n    python"))
@click.option("--cut-s", type=click.FloatRange(1), default=120.0, show_default=True, help="How long the line is cut.")
@click.option("--alerts-per-s", type=click.FloatRange(0.1), default=5.0, show_default=True, help="Of each site.")
def main(cut_s: float, alerts_per_s: float) -> None:
    """See the module."""
    with tempfile.TemporaryDirectory(prefix="overt-many-sites-") as name:
        folder = Path(name)
        with RedisServer(folder / "redis") as redis, ManySites(folder, redis) as many:
            many.send(alerts_per_s)
            many.wait_arrived(_CAUGHT_UP_S)
            click.echo(f"| {' | '.join(_HEAD)} |\n|{'---|' * len(_HEAD)}")
            held = _tell(many, "nothing", _CALM_S, lambda: time.sleep(_CALM_S))
            held &= _tell(many, f"the line to {CUT} was cut", cut_s, lambda: _cut(many, cut_s))
            held &= _tell(many, "MirrorMaker killed, started again", 0, lambda: _kill(many))
            held &= _tell(
                many, "the centre's broker killed, back later", cut_s / 4, lambda: _kill_broker(many, cut_s / 4)
            )
            many.stop_sending()
            held &= _tell(many, "in all, at the end", 0, lambda: None)
            held &= _search(many)
    click.echo("held" if held else "NOT held")
    raise SystemExit(0 if held else 1)


def _tell(many: ManySites, what: str, seconds: float, happens: Callable[[], None]) -> bool:
    """A row of the table, once all that was sent by then has arrived or the time for it is over."""
    before = sum(len(site.alerts) + len(site.statistics) for site in many.sites.values())
    happens()
    after = sum(len(site.alerts) + len(site.statistics) for site in many.sites.values())
    try:
        waited = f"{many.wait_arrived(_CAUGHT_UP_S):.1f} s"
        missing = 0
    except AssertionError:
        waited, missing = "never", many.missing()
    doubled = sum(many.arrived(site).repeated for site in SITES)
    click.echo(f"| {what} | {seconds:.0f} | {after - before} | {missing} | {doubled} | {waited} |")
    return missing == doubled == 0


def _cut(many: ManySites, seconds: float) -> None:
    many.sites[CUT].link.cut()
    time.sleep(seconds / 2)
    others = many.wait_arrived(_CAUGHT_UP_S, WHOLE)
    behind = len(many.sites[CUT].alerts) - len(many.arrived(CUT).alerts)
    time.sleep(max(0.0, seconds / 2 - others))
    many.sites[CUT].link.mend()
    click.echo(f"in the middle of the cut {CUT} was {behind} alerts behind, {WHOLE} {others:.1f} s", err=True)


def _kill(many: ManySites) -> None:
    many.mirror.kill()
    many.mirror.start()


def _kill_broker(many: ManySites, seconds: float) -> None:
    many.broker.kill()
    time.sleep(seconds)
    many.broker.start()


def _search(many: ManySites) -> bool:
    found = search_centre(many)
    sent = sum(len(site.alerts) for site in many.sites.values())
    sealed = ", ".join(f"{count} under {custody} keys" for custody, count in found.sealed.items())
    click.echo(
        f"\nthe centre's disk: {found.places} files, {found.bytes_read / 1e6:.0f} MB; pictures or keys of sites in the "
        f"clear: {len(found.clear)}; sealed: {sealed}; opened by keys of the sites, which the centre has not: "
        f"{found.opened} of {sent} alerts that were sent"
    )
    return found.held and found.opened == found.sealed.total() == sent


if __name__ == "__main__":
    main()
