"""All passes of an evaluation, stretch by stretch: what is finished is kept, so that an interrupted run goes on."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from overt.demo.film import frame_count
from overt.evaluation.datasets import Dataset
from overt.evaluation.recipe import Choice, Extractor, choose, open_extractor
from overt.evaluation.results import Data
from overt.evaluation.video import records
from overt.evaluation.video.cast import Cast, Passer, cast
from overt.evaluation.video.composed import ComposedReader, locate, pictures, walkers_of
from overt.evaluation.video.enrolled import Enrolled, Progress, enrol
from overt.evaluation.video.evaluated import Evaluated, confirming_of, names_of
from overt.evaluation.video.join import Joiner
from overt.evaluation.video.plan import Plan, key_of
from overt.evaluation.video.records import StretchRecord
from overt.evaluation.video.rules import Confirming, Subjects
from overt.evaluation.video.setting import deployment_for
from overt.evaluation.video.stretch import run
from overt.evaluation.video.truth import ComposedTruth, Xyxy
from overt.frame.reader import Reader
from overt.frame.source import CameraSource
from overt.governance.deployment import Deployment
from overt.picture import Bgr
from overt.ports import Clock
from overt.runtime.loaded import LoadedModels
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings
from overt.runtime.world import now_us


def evaluate_composed(
    plan: Plan, settings: Settings, folder: Path, *, stop: threading.Event, progress: Progress, fresh: bool = False
) -> Evaluated:
    """Enrols, runs all stretches that `folder` does not hold yet, and returns all. fresh: none counts as held.

    Raises stretch.Stopped when `stop` is set; DatasetError, ModelError, CacheError; OSError where it cannot write.
    """
    whole = cast(plan.dataset, plan.parts)
    deployment = deployment_for(
        plan.operating, source="composed walk-pasts", watchlist=str(plan.dataset.source), realtime=plan.realtime
    )
    extractor, enrolled = enrol(whole.enrolled, deployment, settings, progress)
    if plan.composing_detector is not None:
        choice = Choice(plan.composing_detector, deployment.models.embedder)
        extractor = open_extractor(settings, choose(settings, choice))
    loaded = LoadedModels(deployment, settings, Metrics())
    confirming, threshold = confirming_of(deployment, loaded)
    kept = folder / "stretches" / key_of(plan, deployment, loaded, enrolled)
    one = _Stretch(plan, deployment, settings, enrolled, extractor, confirming)
    stretches: list[StretchRecord] = []
    done, total = 0, len(whole.passers)
    for number, passers in enumerate(_cut(whole.passers, plan.stretch)):
        path = kept / f"{number:04}.json"
        found = None if fresh else records.read(path)
        if found is None:
            found = one.run(number, passers, stop, partial(_told, progress, done, len(passers), total))
            records.write(path, found)
        stretches.append(found)
        done += len(passers)
        progress("walk-pasts", done, total)
    data, models = _data(plan.dataset, whole, enrolled), names_of(loaded, deployment.recognition)
    return Evaluated(deployment, enrolled, confirming, threshold, models, data, tuple(stretches))


def _data(dataset: Dataset, whole: Cast, enrolled: Enrolled) -> Data:
    """What a result says of the images that were enrolled or walked past; those of others play no part."""
    samples = [*whole.enrolled, *(passer.sample for passer in whole.passers)]
    lines = sorted(f"{hashlib.sha256(sample.path.read_bytes()).hexdigest()} {sample.person}" for sample in samples)
    return Data(
        name=dataset.source.resolve().name,
        layout=dataset.layout,
        images=len(samples),
        people=len({sample.person for sample in samples}),
        images_of_a_person=dict(sorted(Counter(Counter(sample.person for sample in samples).values()).items())),
        sha256=hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest(),
        repeated=0,
        failures=enrolled.failures,
    )


def _told(progress: Progress, done: int, here: int, total: int, share: float) -> None:
    progress("walk-pasts", done + round(share * here), total)


class _Stretch:
    """Composes stretches and runs them."""

    def __init__(
        self,
        plan: Plan,
        deployment: Deployment,
        settings: Settings,
        enrolled: Enrolled,
        extractor: Extractor,
        confirming: Confirming,
    ) -> None:
        self._plan = plan
        self._deployment = deployment
        self._settings = settings
        self._enrolled = enrolled
        self._extractor = extractor
        self._confirming = confirming
        self._subjects = Subjects(enrolled.entries)

    def run(
        self, number: int, passers: Sequence[Passer], stop: threading.Event, told: Callable[[float], None]
    ) -> StretchRecord:
        """Raises stretch.Stopped and what EmbeddedRun.run raises."""
        plan = self._plan
        boxes = [locate(passer, self._find) for passer in passers]
        there = [passer for passer, box in zip(passers, boxes, strict=True) if box is not None]
        walkers = walkers_of(there, [box for box in boxes if box is not None], plan.conditions, number)
        truth, fps = ComposedTruth(plan.realtime), plan.conditions.fps
        source = pictures(walkers, plan.conditions, plan.keep)
        reader = ComposedReader(source, frame_count(walkers, fps), fps, truth, now_us, told)

        def opens(source: CameraSource, *, clock: Clock, folder_fps: float, open_s: float, read_s: float) -> Reader:
            del source, clock, folder_fps, open_s, read_s
            return reader

        ran = run(self._deployment, self._settings, self._enrolled.entries, stop, realtime=plan.realtime, opens=opens)
        of_person, realtime = self._enrolled.of_person, plan.realtime
        joiner = Joiner(truth, self._subjects, self._confirming, enrolled=of_person, realtime=realtime, stretch=number)
        joined = joiner.join(passers, [box is not None for box in boxes], ran.heard)
        return StretchRecord(
            number=number,
            frames=len(truth.faces),
            frames_seen=len(ran.heard.seen),
            wall_s=round(ran.wall_s, 3),
            pipeline_cpu_s=round(ran.cpu_s - reader.made_s, 3),
            composing_cpu_s=round(reader.made_s, 3),
            ghosts=joined.ghosts,
            ghost_alerts=joined.ghost_alerts,
            passes=joined.passes,
        )

    def _find(self, bgr: Bgr) -> list[Xyxy]:
        found = self._extractor.find(bgr).xyxy
        return [(float(a), float(b), float(c), float(d)) for a, b, c, d in found]


def _cut(passers: Sequence[Passer], length: int) -> Iterator[Sequence[Passer]]:
    for start in range(0, len(passers), length):
        yield passers[start : start + length]
