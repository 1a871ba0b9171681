"""How the pipeline scales over a real Kafka and a real Redis on this machine, and how late an alert comes.

Three tables:

real       one and two replicas of the detector with its real model: frames a second, and what a frame costs
sleeping   a sleep of that measured time in place of the model, so that this machine can play many: 1 to 16 replicas,
           4 to 256 cameras, sealed frames of 90 KB. Efficiency is the share of the replicas' time that went into the
           sleep; the rest is the bus and the loop: fetching, opening, sealing, sending, state, commit. Aim: 0.9 at 16
alerts     from capture to the alert on its topic, all services running, at a load that they keep up with. Aim: p95
           under 500 ms

Every replica is a process. Each camera has a partition of its own and always some frames waiting, as with
`--no-realtime`. A replica's time, in ms for each frame: `stage`, the model or its sleep; `late`, how much later than
asked the sleep ended, which is the machine's doing; `waits`, for a frame; `flush`, until Kafka has what was sent;
`state`, for Redis; `commit`; `loop`, all else: opening, sealing, the loop itself. CPU is user and system time for each
frame, of all replicas, of who seals and sends the frames, of the broker, of Redis. `others` says how many cores were
busy with what does not belong to the trial, `stolen` how many a virtual machine's host gave to others while they were
wanted here: where these are not near 0, figures of many replicas say what this machine had left, and not what Overt can
do; unless the trial goes `--ahead`, which no host heeds.

Needs Java with the broker's jars and redis-server, as the tests do (infra/test-deps.sh); alerts need the test data too.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import cv2
import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))  # the tests' broker and Redis

from scaling.latency import Load, measure  # noqa: E402  # after the path is known
from scaling.site import FRAME_BYTES, make_site  # noqa: E402
from scaling.tables import HEADER, alert_lines, row  # noqa: E402
from scaling.trial import Frames, Result, Servers, TrialFailed, run_trial  # noqa: E402

from overt.demo.deployments import demo_deployment  # noqa: E402
from overt.picture import encode  # noqa: E402
from overt.runtime.settings import load_settings  # noqa: E402
from tests.support.kafka_broker import KafkaBroker  # noqa: E402
from tests.support.redis_server import RedisServer  # noqa: E402

DATA = Path(os.environ.get("OVERT_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
_SMALL = ((1, 4), (4, 16), (16, 64))
_FULL = tuple((r, cameras) for cameras in (4, 16, 64, 256) for r in (1, 2, 4, 8, 16) if r <= cameras)
_REAL_CAMERAS = 4
_HEAP_MB = 768

Grid = Sequence[tuple[int, int]]
Pair = tuple[str, str]


def _pairs(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Grid | None:
    try:
        grid = None if text is None else [tuple(int(n) for n in pair.split("x")) for pair in text.split(",")]
    except ValueError:
        grid = [()]
    if grid is not None and not all(len(pair) == 2 and 1 <= pair[0] <= pair[1] for pair in grid):
        raise click.BadParameter("expected REPLICASxCAMERAS, no fewer cameras than replicas, such as 1x4,16x64")
    return grid  # type: ignore[return-value]  # its lengths were just looked at


@click.command(
    help=__doc__.replace("\n\n", "\n\n\b\n")
    + "\n\n\b\nExamples:\n  python benchmarks/scale.py\n  python benchmarks/scale.py --full\n"
    "  python benchmarks/scale.py --only sleeping --model-ms 40 --grid 1x4,16x256 --seconds 20\n"
    "  python benchmarks/scale.py --only alerts --alert-seconds 300"
)
@click.option("--full", is_flag=True, help="All of the grid, 20 s each, and 5 minutes of alerts; 21 minutes.")
@click.option("--only", type=click.Choice(["real", "sleeping", "alerts"]), help="One of the three tables.")
@click.option("--grid", callback=_pairs, metavar="RxC,...", help="Replicas and cameras of the sleeping table.")
@click.option("--seconds", type=click.FloatRange(1), help="How long each trial is measured. [default: 8; --full: 20]")
@click.option("--model-ms", type=click.FloatRange(1), help="The sleep. [default: what the real model took]")
@click.option("--alert-seconds", type=click.FloatRange(5), help="Length of the alerts' run. [default: 45; --full: 300]")
@click.option(
    "--alert-cameras", type=click.IntRange(1, 16), default=2, show_default=True, help="Cameras they come from."
)
@click.option(
    "--alert-height", type=click.IntRange(180, 2160), default=360, show_default=True, help="Of their pictures."
)
@click.option("--video", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="What the real model sees.")
@click.option(
    "--plot", "picture", type=click.Path(dir_okay=False, path_type=Path), help="The sleeping table as a picture."
)
@click.option("--ahead", is_flag=True, help="Trials go ahead of all else on this machine (as root).")
@click.option("--detector", default="centerface", show_default=True)
@click.option("--embedder", default="dlib-resnet-v1", show_default=True)
def main(
    full: bool,
    only: str | None,
    grid: Grid | None,
    seconds: float | None,
    model_ms: float | None,
    alert_seconds: float | None,
    alert_cameras: int,
    alert_height: int,
    video: Path | None,
    picture: Path | None,
    ahead: bool,
    detector: str,
    embedder: str,
) -> None:
    """See the module."""
    models = (detector, embedder)
    if not os.environ.get("OVERT_MODELS_DIR") and (DATA / "models").is_dir():
        os.environ["OVERT_MODELS_DIR"] = str(DATA / "models")
    with _bench(video or _demo_video(), models, seconds or (20.0 if full else 8.0), ahead) as bench:
        try:
            if only == "real" or (only is None or (only == "sleeping" and model_ms is None)):
                took_ms = bench.real((1, 2) if only != "sleeping" else (1,))
                model_ms = model_ms or took_ms
            if only in (None, "sleeping"):
                assert model_ms is not None
                results = bench.sleeping(grid or (_FULL if full else _SMALL), model_ms / 1000)
                if picture is not None:
                    from scaling.plot import plot  # matplotlib is an extra

                    plot(results, picture)
            if only in (None, "alerts"):
                bench.alerts(alert_seconds or (300.0 if full else 45.0), _load(alert_cameras, alert_height))
        except TrialFailed as error:
            raise click.ClickException(str(error)) from None


def _load(cameras: int, height: int) -> Load:
    return Load(cameras=cameras, size=(height * 16 // 9, height))


class Bench:
    """A broker, a Redis and a folder, and what is measured with them."""

    def __init__(
        self,
        folder: Path,
        broker: KafkaBroker,
        redis: RedisServer,
        video: Path,
        models: Pair,
        seconds: float,
        ahead: bool,
    ) -> None:
        self._folder = folder
        self._broker = broker
        self._redis = redis
        self._video = video
        self._models = models
        self._seconds = seconds
        self._ahead = ahead

    def real(self, replicas: Iterable[int]) -> float:
        """Prints the real model's table; returns what it took for a frame at one replica, in milliseconds: where other
        processes made it wait, its CPU time."""
        frames = _frames_of(self._video)
        size, kilobytes = frames.size, np.mean([len(image) for image in frames.images]) / 1000
        print(f"\nreal: {self._models[0]}, {size[0]}x{size[1]}, {kilobytes:.0f} KB a frame, {_REAL_CAMERAS} cameras")
        results = self._trials([(count, _REAL_CAMERAS) for count in replicas], None, frames)
        return min(results[0].stage_s, results[0].replica_cpu_s) * 1000

    def sleeping(self, grid: Grid, model_s: float) -> list[Result]:
        """Prints the sleeping model's table."""
        noise = np.random.default_rng(7)
        frames = Frames([noise.bytes(FRAME_BYTES) for _ in range(16)], (1280, 720))
        print(f"\nsleeping: {model_s * 1000:.1f} ms a frame in place of the model, {FRAME_BYTES // 1000} KB a frame")
        return self._trials(grid, model_s, frames)

    def _trials(self, grid: Grid, model_s: float | None, frames: Frames) -> list[Result]:
        print(HEADER, flush=True)
        results = []
        for replicas, cameras in grid:
            _say(f"{replicas} replicas, {cameras} cameras")
            site = make_site(
                self._folder,
                cameras,
                bootstrap=self._broker.bootstrap,
                redis_url=self._redis.url,
                video=self._video,
                models=self._models,
            )
            servers = Servers([self._broker.child.pid], [self._redis.child.pid], self._ahead)
            results.append(run_trial(site, cameras, replicas, model_s, frames, self._seconds, servers))
            _say("")
            print(row(results[-1], results[0]), flush=True)
        return results

    def alerts(self, seconds: float, load: Load) -> None:
        """Prints how late alerts come."""
        if not (DATA / "lfw").is_dir():
            print(f"\nalerts: not measured: {DATA / 'lfw'} is no folder; OVERT_TEST_DATA names the test data")
            return
        _say(f"alerts for {seconds:.0f} s")
        where = self._folder / "alerts"
        found = measure(where, self._broker, self._redis, DATA, self._models, load, seconds, first=self._ahead)
        _say("")
        print(
            f"\nalerts: {' and '.join(self._models)}, {load.cameras} cameras of {load.fps:g} images a second at "
            f"{load.size[0]}x{load.size[1]}, {seconds:.0f} s"
        )
        print("\n".join(alert_lines(found)), flush=True)


@contextmanager
def _bench(video: Path, models: Pair, seconds: float, ahead: bool) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        _say("starting Kafka and Redis")
        broker = stack.enter_context(KafkaBroker(Path(folder) / "kafka", heap_mb=_HEAP_MB))
        redis = stack.enter_context(RedisServer(Path(folder) / "redis"))
        with redis.client() as client:
            client.config_set("slowlog-max-len", 0)  # as Overt wants it, and says where it is not
        yield Bench(Path(folder), broker, redis, video, models, seconds, ahead)


def _frames_of(video: Path, most: int = 60) -> Frames:
    reader = cv2.VideoCapture(str(video))
    width = height = 0
    images: list[bytes] = []
    while len(images) < most:
        read, bgr = reader.read()
        if not read:
            break
        images.append(encode(np.asarray(bgr, np.uint8), "jpeg"))
        height, width = bgr.shape[:2]
    reader.release()
    if not images:
        raise click.ClickException(f"{video}: not one image can be read; check it with a video player")
    return Frames(images, (width, height))


def _demo_video() -> Path:
    source = demo_deployment(load_settings().cache / "demo").cameras[0].source
    assert source is not None
    return Path(source)


def _say(what: str) -> None:
    """Progress, on standard error and only where somebody watches."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
