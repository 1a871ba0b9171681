"""`overt serve` and `overt topics`: a deployment as services over Kafka and Redis."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from overt.cli.errors import UserError
from overt.cli.options import deployment_option
from overt.cli.pages import open_pages
from overt.cli.topics import acls, asyncapi
from overt.cli.watched import watched
from overt.governance.deployment import Deployment
from overt.runtime.certified import demand_certificate, subjects_listed
from overt.runtime.cluster import TopicsAdmin, cluster_world
from overt.runtime.health import HealthServer
from overt.runtime.keys.deployment_keyring import demand_keyrings
from overt.runtime.loaded import LoadedModels
from overt.runtime.logs import configure_logging
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings, load_settings
from overt.runtime.topics import table
from overt.runtime.tracing import open_tracing
from overt.runtime.webhook.service import WebhookService
from overt.runtime.wiring import STAGES, Wiring
from overt.runtime.world import partition_count

if TYPE_CHECKING:
    from overt.runtime.statistics import StatisticsService

_log = logging.getLogger(__name__)

_STANDS_STILL_S = 60.0
_DRAIN_S = 9.0


@click.command()
@click.argument("service", type=click.Choice(["frame", *STAGES, "statistics", "webhook"]))
@deployment_option
@click.option(
    "--realtime/--no-realtime",
    default=True,
    show_default=True,
    help="Keep the cameras' pace and shed what is late; or lose nothing, however long it takes.",
)
def serve(service: str, deployment: Deployment, realtime: bool) -> None:
    """Run one SERVICE over Kafka until it is told to stop. Start it again on another machine to scale it.

    Serves /metrics, /healthz and /readyz. While Kafka or Redis is away it goes on trying, alive and not ready. SIGTERM
    finishes the batch in hand, commits and leaves within 10 s. `overt settings` lists its settings.

    \b
    Examples:
      export OVERT_KAFKA_BOOTSTRAP=kafka:9092 OVERT_REDIS_URL=redis://redis:6379/0
      overt serve detector -d deployment.yaml
      OVERT_METRICS_PORT=9100 overt serve frame -d deployment.yaml --no-realtime
    """
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    metrics = Metrics()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if service == "statistics":
        counting = _statistics(deployment, settings, metrics)
        pages = Pages(settings, metrics, counting.refresh)
        _serve(service, pages, stop, counting.run, counting.ready, lambda: counting.last_turn_s)
        return
    tracing = open_tracing(settings, service)
    click.get_current_context().call_on_close(tracing.close)
    if service == "webhook":
        world = cluster_world(deployment, settings, realtime=realtime, client=service, tracing=tracing)
        posting = WebhookService(world, settings, metrics)
        pages = Pages(settings, metrics, lambda: None)
        _serve(service, pages, stop, posting.run, posting.ready, lambda: posting.last_turn_s)
        return
    subjects = None if deployment.certificate is None else subjects_listed(deployment)
    demand_certificate(deployment, LoadedModels(deployment, settings, metrics), subjects, _log.warning)
    if service in ("matcher", "alerter"):
        demand_keyrings(deployment, settings)  # without them the first match could not be sealed: say so now
    world = cluster_world(deployment, settings, realtime=realtime, client=service, metrics=metrics, tracing=tracing)
    wiring = Wiring(world, settings, metrics, realtime=realtime)
    pages = Pages(settings, metrics, world.refresh)
    if service == "frame":
        frames = wiring.frame_service(serving=True)
        _serve(service, pages, stop, frames.run, frames.ready, lambda: frames.last_turn_s)
    else:
        worker = wiring.worker(service)
        _serve(service, pages, stop, worker.run, worker.ready, lambda: worker.last_turn_s)


@dataclass(frozen=True, slots=True)
class Pages:
    """What /metrics shows, and where."""

    settings: Settings
    metrics: Metrics
    refresh: Callable[[], None]


def _serve(
    service: str,
    pages: Pages,
    stop: threading.Event,
    run: Callable[[threading.Event], object],
    ready: Callable[[], bool],
    last_turn_s: Callable[[], float],
) -> None:
    """Runs until the stop, with the health pages beside it, and says when it is ready, waits, or has stopped."""
    health = HealthServer(
        pages.metrics.registry,
        healthy=lambda: time.monotonic() - last_turn_s() < _STANDS_STILL_S,
        ready=ready,
        refresh=pages.refresh,
    )
    open_pages(health, pages.settings)
    threading.Thread(target=_end_in_time, args=(service, stop), name="end-in-time", daemon=True).start()
    try:
        with watched(service, ready):
            run(stop)
    finally:
        health.close()


def _statistics(deployment: Deployment, settings: Settings, metrics: Metrics) -> StatisticsService:
    try:
        from overt.runtime.statistics import StatisticsService  # Faust is an extra, needed only here
    except ImportError as error:
        raise UserError(
            f"Faust is not whole here ({error.name} is missing); install the extra: overt[statistics]"
        ) from error
    return StatisticsService(deployment, settings, metrics)


def _end_in_time(service: str, stop: threading.Event) -> None:
    """Ends the process where its drain takes too long: Kafka or Redis may hang in every one of its steps. What is not
    committed then comes again, as after a kill, which is what a supervisor would do a second later."""
    stop.wait()
    time.sleep(_DRAIN_S)
    _log.error("%s: not drained within %.1f s; what is not committed will be done again", service, _DRAIN_S)
    os._exit(4)


@click.group()
def topics() -> None:
    """Topics of a deployment, from schemas/topics.yaml.

    \b
    Examples:
      overt topics plan -d deployment.yaml
      overt topics apply -d deployment.yaml
      overt topics acls -d deployment.yaml
      overt topics asyncapi > asyncapi.yaml
    """


topics.add_command(acls)
topics.add_command(asyncapi)


@topics.command(short_help="What `apply` would do, and each camera's partition.")
@deployment_option
def plan(deployment: Deployment) -> None:
    """What `apply` would do, and each camera's partition. Changes nothing.

    \b
    Examples:
      overt topics plan -d deployment.yaml
    """
    for line in table(TopicsAdmin(deployment, load_settings()).plan()):
        click.echo(line)
    for camera in deployment.cameras:
        click.echo(f"camera {camera.camera_id}: partition {camera.partition} of {partition_count(deployment)}")


@topics.command(short_help="Create and alter topics until they are as planned.")
@deployment_option
def apply(deployment: Deployment) -> None:
    """Create and alter topics until they are as planned. Running it twice changes nothing.

    \b
    Examples:
      overt topics apply -d deployment.yaml
    """
    for line in table(TopicsAdmin(deployment, load_settings()).apply()):
        click.echo(line)
