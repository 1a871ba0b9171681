"""`overt run` and `overt demo`: everything in one process, nothing to install but the package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from overt.cli.endings import require_read, stop_at_signal, writing_to
from overt.cli.errors import UserError
from overt.cli.outputs import RunOutputs
from overt.cli.pages import open_pages
from overt.cli.progress import Bar, Downloads, during, say
from overt.demo.deployments import COMPOSED, demo_deployment, own_deployment
from overt.governance.deployment import Deployment, WindowState, window_state
from overt.governance.listing import WatchlistError
from overt.governance.loading import load_deployment
from overt.runtime.certified import UNCERTIFIED, demand_certificate
from overt.runtime.disks import Disks
from overt.runtime.embedded import EmbeddedRun
from overt.runtime.frame.rules import CameraSummary
from overt.runtime.health import HealthServer
from overt.runtime.loaded import open_registry
from overt.runtime.logs import configure_logging
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings, load_settings
from overt.runtime.watchlist.enrolment import Enrolment, enrol_folder
from overt.runtime.wiring import Wiring
from overt.runtime.world import memory_world, now_us


@click.command()
@click.argument("deployment_file", metavar="DEPLOYMENT", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Folder for alerts.jsonl and report.html.",
)
@click.option(
    "--realtime/--no-realtime",
    default=True,
    show_default=True,
    help="Keep the cameras' pace, or read files as fast as possible and lose no frame.",
)
@click.option(
    "--annotate", is_flag=True, help="Also write a video of each camera, with everyone who raised no alert blurred."
)
def run(deployment_file: Path, out: Path, realtime: bool, annotate: bool) -> None:
    """Run a deployment on this machine: all cameras, all stages, one process.

    Prints each alert as it happens and appends it to OUT/alerts.jsonl. Ends when its files end or its window closes;
    Ctrl-C stops reading, finishes what was read, and ends. No picture of anyone is written without --annotate.

    \b
    Examples:
      overt run deployment.yaml --out out/
      overt run recording.yaml --no-realtime --out out/ --annotate
    """
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    deployment = load_deployment(deployment_file, check_files=True)
    state = window_state(deployment, now_us()) if realtime else WindowState.OPEN
    if state is WindowState.AFTER:
        ended = deployment.window.end.isoformat()
        raise UserError(f"{deployment_file}: the window ended at {ended}: nothing may be captured any more")
    if state is WindowState.BEFORE:
        click.echo(f"nothing is captured before the window begins, at {deployment.window.start.isoformat()}", err=True)
    run_embedded(deployment, settings, out, realtime=realtime, annotate=annotate, images=annotate, certify=True)


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out/demo"),
    show_default=True,
    help="Folder for alerts.jsonl, the annotated video and report.html.",
)
@click.option(
    "--video", type=click.Path(exists=True, path_type=Path), help="Your own video instead of the composed one."
)
@click.option("--camera", type=click.IntRange(0, 999), help="Number of a webcam, instead of a video.")
@click.option(
    "--watchlist",
    type=click.Path(exists=True, path_type=Path),
    help="Your own watchlist: a folder (a subfolder or a file-name prefix for each subject), a manifest, or a .zip.",
)
def demo(out: Path, video: Path | None, camera: int | None, watchlist: Path | None) -> None:
    """The whole pipeline on a walk-past: its alerts, an annotated video and a report.

    Obtains the default models and public-domain portraits once, composes a video of people walking through a zone,
    and runs frame to alerter over it with the defaults of `overt run`.

    \b
    Examples:
      overt demo
      overt demo --video walk.mp4 --watchlist people/
      overt demo --camera 0 --watchlist people/
    """
    settings = load_settings()
    configure_logging("WARNING" if settings.log_level == "INFO" else settings.log_level, settings.log_format)
    if video is not None and camera is not None:
        raise UserError("give --video or --camera, not both")
    if (video is not None or camera is not None) and watchlist is None:
        raise UserError("your own material needs --watchlist DIR: one subfolder, or one file-name prefix, a subject")
    pull_defaults(settings)
    folder, composing = settings.cache / "demo", Bar("composing the video, pictures")
    remarks: Sequence[str] = ()
    if camera is not None and watchlist is not None:
        deployment = own_deployment(f"usb:{camera}", watchlist)
    elif video is not None and watchlist is not None:
        deployment = own_deployment(str(video), watchlist)
    else:
        deployment, remarks = demo_deployment(folder, composing, watchlist, obtaining=Downloads()), COMPOSED
    run_embedded(deployment, settings, out, realtime=camera is not None, annotate=True, images=True, remarks=remarks)


def run_embedded(
    deployment: Deployment,
    settings: Settings,
    out: Path,
    *,
    realtime: bool,
    annotate: bool,
    images: bool,
    remarks: Sequence[str] = (),
    certify: bool = False,
) -> None:
    """Enrols, runs, prints and writes. Raises the errors that `overt.cli.errors` reports. certify: warn where no
    certificate fits the deployment, or refuse where it demands one."""
    metrics = Metrics()
    world, bus = memory_world(deployment)
    wiring = Wiring(world, settings, metrics, realtime=realtime)
    if certify and deployment.require_certificate:  # enrolling a long list takes hours: what can be told now, is
        demand_certificate(deployment, wiring.models, None, lambda _: None)
    enrolment = enrol(wiring)
    certificate = demand_certificate(deployment, wiring.models, enrolment.subjects, say) if certify else UNCERTIFIED
    outputs = RunOutputs(
        out,
        wiring,
        enrolment,
        annotate=annotate,
        images=images,
        realtime=realtime,
        remarks=[*remarks, *certificate.in_report()] if certify else remarks,
        rarity=certificate.rarity(enrolment.subjects),
    )
    embedded = EmbeddedRun(
        wiring, bus, enrolment.entries, on_alert=outputs.alert, observe=outputs.observe if annotate else None
    )
    disks = Disks.of(settings, metrics, out=out)
    health = HealthServer(metrics.registry, healthy=embedded.healthy, ready=embedded.ready, refresh=disks.tell)
    if settings.metrics_port:
        open_pages(health, settings)
    cameras: Mapping[str, CameraSummary] = {}
    with writing_to(out), stop_at_signal() as stop:
        outputs.begin()
        try:
            with during(lambda: _status(metrics, stopping=stop.is_set())):
                cameras = embedded.run(stop)
        finally:
            health.close()
            outputs.end(cameras)
    require_read(cameras)


def enrol(wiring: Wiring) -> Enrolment:
    """Enrols the watchlist, saying what was refused. Raises UserError when nobody could be enrolled."""
    try:
        enrolment = enrol_folder(wiring, Bar("enrolling, images"))
    except WatchlistError as error:
        raise UserError(f"the watchlist cannot be used:\n  {error}", 6) from error
    for refused in enrolment.refused:
        say(f"not enrolled: {refused.place}: {refused.why}")
    if not enrolment.entries:
        raise UserError("nobody could be enrolled; see the reasons above", 6)
    say(f"watchlist: {len(enrolment.entries)} images of {enrolment.subjects} subjects")
    return enrolment


def _status(metrics: Metrics, *, stopping: bool) -> str:
    """How far a run has come."""
    frames, passes, alerts = (
        round(metrics.total(f"overt_{what}_total")) for what in ("frames_read", "passes", "alerts")
    )
    doing = "stopping, what was read is worked off" if stopping else "running"
    return f"{doing}: frames {frames}, passers-by {passes}, alerts {alerts}"


def pull_defaults(settings: Settings) -> None:
    """Obtains the default models where they are not here yet."""
    registry = open_registry(settings)
    for card in registry.cards():
        if card.default:
            registry.pull(card.name, Downloads())
