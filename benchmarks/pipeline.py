"""What the pipeline costs: against the bare model calls that it makes, and against a naive loop.

    python benchmarks/pipeline.py
    python benchmarks/pipeline.py --models yunet --runs 7
    python benchmarks/pipeline.py --video walk.mp4 --watchlist people/ --live 60

In one run, on the same video, with the same models, on the same machine:

a   the bare model calls: the very tensors that the embedded pipeline hands to its networks, handed over again
b   the embedded pipeline, as `overt run --no-realtime` runs it: decode, zone, detect, track, choose, align, embed,
    match, confirm, alert, and the loops and the bus between them
c   a naive loop, as tutorials show it: decode, detect at full size, align and embed every face of every frame, compare
c'  the same without the mirrored chips that the model's card asks for: half the embedder's work, and less accurate

Each runs in a process of its own that has opened its models and run once. Its cost is CPU time, all threads, user and
system; opening models and enrolling are outside. Repetitions are interleaved, so that what else the machine does hits
all alike; medians are printed, and ratios are medians of each repetition's own ratio. CPU time on a busy machine still
rises by tens of per cent (caches are shared): believe ratios more than seconds, and both more on an idle machine.

The watchlist is made of one early frame of the video itself (the one that shows most faces well), unless --watchlist
names a folder. Somebody counts as found by the alerter's rule: one strong match, or two within five seconds; matches
within half a second of the enrolled frame do not count.

--models yunet needs the files yunet_s_dynamic.onnx and mobilefacenet192.onnx in OVERT_MODELS_DIR or in the folder
`models` of the test data. The videos are those of the test data (OVERT_TEST_DATA, or ../shared/data beside the
repository); where it is absent the demonstration's composed scene and watchlist are used.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from costs import tables
from costs.children import Child, VariantFailed
from costs.enrolling import enrol_from_folder, enrol_from_video
from costs.task import Task
from costs.variants import Result

from overt.demo.deployments import demo_deployment
from overt.governance.listing import WatchlistError
from overt.models.errors import ModelError
from overt.runtime.settings import Settings, load_settings

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("OVERT_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
VIDEOS = ("face-demographics-walking-and-pause.gif", "short_hamilton_clip.mp4")
MODELS = {"default": ("centerface", "dlib-resnet-v1"), "yunet": ("yunet-s", "mobilefacenet-192")}
AIMS = {"default": {"b/a": 1.25, "b/c": 0.5}, "yunet": {"b/a": 1.25, "b/c": 0.25}}
_LIVE_S = 20.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints."""
    asked = _parser().parse_args(arguments)
    settings = _settings()
    videos, watchlist = _videos(asked.video, asked.watchlist, settings)
    for models in MODELS if asked.models == "all" else (asked.models,):
        for video in videos:
            detector, embedder = MODELS[models]
            task = Task(video, detector, embedder, settings)
            print(f"\n{video.name}, {detector} and {embedder}", flush=True)
            try:
                task = enrol_from_folder(task, watchlist) if watchlist else enrol_from_video(task)
                lines = measure(task, asked.runs, asked.live, AIMS[models])
            except (ModelError, WatchlistError, VariantFailed) as error:
                raise SystemExit(f"{video.name}: {error}") from None
            print("\n".join(lines), flush=True)


def measure(task: Task, runs: int, live_s: float, aims: dict[str, float]) -> list[str]:
    """One table: `runs` interleaved repetitions, and `live_s` seconds in real time. Raises VariantFailed."""
    results: dict[str, list[Result]] = {name: [] for name in tables.LABELS}
    with ExitStack() as stack:
        _say("opening models")
        children = [stack.enter_context(Child(name, task)) for name in results]
        clocked = stack.enter_context(Child("shares", task))
        for child in [*children, clocked]:
            child.wait_ready()
        for child in children:
            _say(f"warming up: {child.name}")
            warm = child.run()
            if warm.calls.get("frames") == 0:
                raise SystemExit(f"{task.video}: not one image can be read; check it with a video player")
        shares = []
        for number in range(runs):
            for child in children[number % len(children) :] + children[: number % len(children)]:
                _say(f"repetition {number + 1} of {runs}: {child.name}")
                results[child.name].append(child.run())
            shares.append(clocked.run())
        frames = results["naive"][0].calls["frames"]
        lines = [
            *tables.costs(results, frames),
            *tables.ratios(results, aims),
            *tables.people(results, [entry.subject_id for entry in task.entries]),
            *tables.shares(shares, frames),
        ]
    if live_s > 0:
        _say(f"real time for {live_s:.0f} s")
        with Child("live", task) as live:
            live.wait_ready()
            lines += tables.live(live.run(live_s))
    _say("")
    return lines


def _videos(named: Sequence[Path], watchlist: Path | None, settings: Settings) -> tuple[list[Path], Path | None]:
    """The videos to measure, and a watchlist's folder where there is one."""
    if named:
        if absent := [str(video) for video in named if not video.is_file()]:
            raise SystemExit(f"there is no such video: {', '.join(absent)}")
        return list(named), watchlist
    found = [DATA / "videos" / name for name in VIDEOS if (DATA / "videos" / name).is_file()]
    if found:
        return found, watchlist
    deployment = demo_deployment(settings.cache / "demo")
    source = deployment.cameras[0].source
    assert source is not None
    return [Path(source)], watchlist or Path(deployment.watchlist.source)


def _settings() -> Settings:
    settings = load_settings()
    if settings.models_dir is None and (DATA / "models").is_dir():
        return settings.model_copy(update={"models_dir": DATA / "models"})
    return settings


def _say(what: str) -> None:
    """Progress, on standard error and only where somebody watches."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)


def _above_0(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} repetitions measure nothing; give 1 or more")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, nargs="+", default=[], metavar="FILE", help="videos to measure")
    parser.add_argument("--watchlist", type=Path, metavar="DIR", help="a watchlist's folder, as overt demo takes it")
    parser.add_argument(
        "--models",
        choices=[*MODELS, "all"],
        default="default",
        help="default: CenterFace and dlib's ResNet; yunet: YuNet-s and MobileFaceNet-192; all: one after the other",
    )
    parser.add_argument("--runs", type=_above_0, default=5, metavar="N", help="repetitions (default: 5)")
    parser.add_argument(
        "--live",
        type=float,
        default=_LIVE_S,
        metavar="SECONDS",
        help=f"length of the real-time run (default: {_LIVE_S:g}; 0: none)",
    )
    return parser


if __name__ == "__main__":
    main()
