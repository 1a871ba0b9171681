"""All passes of an evaluation, stretch by stretch: what is finished is kept, so that an interrupted run goes on."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

import overt
from overt.demo.film import frame_count
from overt.evaluation.cache import open_cache
from overt.evaluation.canonical import sha256_of
from overt.evaluation.datasets import Dataset, Sample
from overt.evaluation.recipe import Choice, Extractor, choose, open_extractor
from overt.evaluation.results import Data
from overt.evaluation.templates import Maker, templates
from overt.evaluation.video import records
from overt.evaluation.video.cast import Cast, Parts, Passer, cast
from overt.evaluation.video.composed import ComposedReader, locate, pictures, walkers_of
from overt.evaluation.video.conditions import Conditions
from overt.evaluation.video.join import Joiner
from overt.evaluation.video.records import StretchRecord
from overt.evaluation.video.rules import Confirming, Subjects
from overt.evaluation.video.setting import CATEGORY, Operating, deployment_for
from overt.evaluation.video.stretch import run
from overt.evaluation.video.truth import ComposedTruth, Xyxy
from overt.frame.reader import Reader
from overt.frame.source import CameraSource
from overt.governance.deployment import Deployment, Recognition
from overt.identity import entry_id
from overt.messages import WatchlistEntry
from overt.picture import Bgr, Picture
from overt.ports import Clock
from overt.runtime.loaded import LoadedModels
from overt.runtime.metrics import Metrics
from overt.runtime.quality_policy import quality_policy
from overt.runtime.settings import Settings
from overt.runtime.world import now_us

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""

_CODE = ("frame", "detector", "embedder", "matcher", "alerter", "models", "demo", "evaluation/video")
"""Packages whose source decides on the result."""


@dataclass(frozen=True, slots=True)
class Plan:
    """An evaluation on composed walk-pasts."""

    dataset: Dataset
    parts: Parts
    conditions: Conditions
    operating: Operating
    stretch: int = 100
    """Passes of one source; fewer are lost by an interruption, and more save little."""
    realtime: bool = False
    keep: Path | None = None
    """Where composed pictures are kept, so that other models see the very same ones at half the cost."""
    composing_detector: str | None = None
    """What finds the faces in photographs that are composed. None: what is evaluated; name one to compare detectors on
    the same pictures."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The watchlist, and what of it could not be enrolled."""

    entries: tuple[WatchlistEntry, ...]
    images: int
    failures: dict[str, int]
    """Reasons and how many images had them."""
    of_person: dict[str, int]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """All records, and what they depend on."""

    cast: Cast
    deployment: Deployment
    enrolled: Enrolled
    confirming: Confirming
    threshold: float
    models: dict[str, str]
    """Names and sha256 of the files."""
    data: Data
    stretches: tuple[StretchRecord, ...]


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
    extractor, enrolled = _enrol(whole.enrolled, deployment, settings, progress)
    if plan.composing_detector is not None:
        extractor = open_extractor(
            settings, choose(settings, Choice(plan.composing_detector, deployment.models.embedder))
        )
    loaded = LoadedModels(deployment, settings, Metrics())
    confirming, threshold = confirming_of(deployment, settings)
    kept = folder / "stretches" / _key(plan, deployment, loaded, enrolled)
    stretches: list[StretchRecord] = []
    done = 0
    subjects = Subjects(enrolled.entries)
    for number, passers in enumerate(_cut(whole.passers, plan.stretch)):
        path = kept / f"{number:04}.json"
        found = None if fresh else records.read(path)
        if found is None:
            told = partial(_told, progress, done, len(passers), len(whole.passers))
            found = _Stretch(plan, deployment, settings, enrolled, extractor, told).run(
                number, passers, subjects, confirming, stop
            )
            records.write(path, found)
        stretches.append(found)
        done += len(passers)
        progress("walk-pasts", done, len(whole.passers))
    return Evaluated(
        whole,
        deployment,
        enrolled,
        confirming,
        threshold,
        names_of(loaded, deployment.recognition),
        _data(plan.dataset, whole, enrolled),
        tuple(stretches),
    )


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


def confirming_of(deployment: Deployment, settings: Settings) -> tuple[Confirming, float]:
    """How the deployment's first category confirms, and its threshold of a match."""
    category = deployment.watchlist.categories[0]
    thresholds = LoadedModels(deployment, settings, Metrics()).thresholds(category)
    strong_by = thresholds.strong - thresholds.match
    return Confirming(strong_by, category.confirmations, round(category.within_s * 1e6)), thresholds.match


def names_of(loaded: LoadedModels, recognition: Recognition) -> dict[str, str]:
    """The models' names and the sha256 of their files, and of what decides which crops are compared."""
    return {
        "detector": loaded.detector.name,
        "detector_sha256": loaded.detector.onnx.sha256,
        "embedder": loaded.embedder.name,
        "embedder_sha256": loaded.embedder.onnx.sha256,
        "space_id": loaded.embedder.space_id,
        "quality_policy_sha256": sha256_of(quality_policy(recognition, loaded.detector)),
    }


def _told(progress: Progress, done: int, here: int, total: int, share: float) -> None:
    progress("walk-pasts", done + round(share * here), total)


class _Stretch:
    """One stretch, composed and run."""

    def __init__(
        self,
        plan: Plan,
        deployment: Deployment,
        settings: Settings,
        enrolled: Enrolled,
        extractor: Extractor,
        told: Callable[[float], None],
    ) -> None:
        self._told = told
        self._plan = plan
        self._deployment = deployment
        self._settings = settings
        self._enrolled = enrolled
        self._extractor = extractor

    def run(
        self,
        number: int,
        passers: Sequence[Passer],
        subjects: Subjects,
        confirming: Confirming,
        stop: threading.Event,
    ) -> StretchRecord:
        plan = self._plan
        boxes = [locate(passer, self._find) for passer in passers]
        there = [passer for passer, box in zip(passers, boxes, strict=True) if box is not None]
        walkers = walkers_of(there, [box for box in boxes if box is not None], plan.conditions, number)
        truth = ComposedTruth(plan.realtime)
        reader = ComposedReader(
            pictures(walkers, plan.conditions, plan.keep),
            frame_count(walkers, plan.conditions.fps),
            plan.conditions.fps,
            truth,
            now_us,
            self._told,
        )

        def opens(source: CameraSource, *, clock: Clock, folder_fps: float, open_s: float, read_s: float) -> Reader:
            del source, clock, folder_fps, open_s, read_s
            return reader

        ran = run(self._deployment, self._settings, self._enrolled.entries, stop, realtime=plan.realtime, opens=opens)
        joiner = Joiner(
            truth, subjects, confirming, enrolled=self._enrolled.of_person, realtime=plan.realtime, stretch=number
        )
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


def _enrol(
    samples: Sequence[Sample], deployment: Deployment, settings: Settings, progress: Progress
) -> tuple[Extractor, Enrolled]:
    """Makes templates as enrolment does (cached), of the face nearest to the middle where an image shows several."""
    recognition = deployment.recognition
    models = choose(
        settings,
        Choice(
            deployment.models.detector,
            deployment.models.embedder,
            min_face_px=recognition.min_face_px,
            detection_threshold=recognition.detection_threshold,
        ),
    )
    extractor = open_extractor(settings, models)
    maker = Maker(lambda: extractor, models.recipe.face, models.recipe.min_face_px)
    with open_cache(settings.cache / "evaluation", models.recipe) as cache:
        made = templates(samples, maker, cache, lambda done, total: progress("enrolling", done, total))
    nothing = Picture(bgr=np.zeros((8, 8, 3), np.uint8))  # nobody looks at these alerts
    entries = tuple(
        WatchlistEntry(
            entry_id=entry_id(deployment.deployment_id, sample.person, sample.image),
            deployment_id=deployment.deployment_id,
            subject_id=sample.person,
            category=CATEGORY,
            kind=deployment.watchlist.categories[0].kind,
            basis=deployment.watchlist.categories[0].basis,
            valid_from_us=deployment.window.start_us,
            valid_until_us=deployment.window.end_us,
            space_id=models.recipe.space_id,
            enrolled_at_us=deployment.window.start_us,
            vector=template.vector,
            reference_image=nothing,
        )
        for sample, template in zip(samples, made, strict=True)
        if template.vector is not None
    )
    failures = Counter(template.failure.value for template in made if template.failure is not None)
    return extractor, Enrolled(entries, len(samples), dict(failures), dict(Counter(e.subject_id for e in entries)))


def _cut(passers: Sequence[Passer], length: int) -> Iterator[Sequence[Passer]]:
    for start in range(0, len(passers), length):
        yield passers[start : start + length]


def _key(plan: Plan, deployment: Deployment, loaded: LoadedModels, enrolled: Enrolled) -> str:
    """Equal where the same passes go through the same pipeline: plan, models, rules and source code."""
    said = hashlib.sha256()
    shown = deployment.model_dump(mode="json", include={"models", "recognition", "watchlist"})
    composing = plan.composing_detector
    for part in (asdict(plan.parts), asdict(plan.conditions), plan.stretch, plan.realtime, composing, shown):
        said.update(json.dumps(part, sort_keys=True, default=str).encode())
    said.update(f"{loaded.detector.onnx.sha256} {loaded.embedder.onnx.sha256}".encode())
    for entry in enrolled.entries:
        said.update(f"{entry.entry_id} ".encode())
    home = Path(overt.__file__).parent
    for package in _CODE:
        for path in sorted((home / package).rglob("*")):
            if path.suffix in (".py", ".yaml"):
                said.update(path.read_bytes())
    return said.hexdigest()[:16]
