"""An evaluation on a recording whose passes are labelled."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from overt.evaluation.datasets import DatasetError, Sample
from overt.evaluation.results import Data
from overt.evaluation.video.cast import Cast, Passer
from overt.evaluation.video.join import Joiner
from overt.evaluation.video.labels import LabelledTruth, read_labels
from overt.evaluation.video.records import StretchRecord
from overt.evaluation.video.rules import Subjects
from overt.evaluation.video.runs import Enrolled, Evaluated, confirming_of, names_of
from overt.evaluation.video.setting import Operating, deployment_for
from overt.evaluation.video.stretch import run
from overt.governance.listing import layout_of
from overt.runtime.enrolment import enrol_folder
from overt.runtime.loaded import LoadedModels
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings
from overt.runtime.wiring import Wiring
from overt.runtime.world import memory_world


@dataclass(frozen=True, slots=True)
class Recording:
    """What is evaluated. The watchlist is a folder as `overt run` takes it."""

    video: Path
    labels: Path
    watchlist: Path
    operating: Operating
    realtime: bool = False


def evaluate_recording(
    recording: Recording, settings: Settings, *, stop: threading.Event, progress: Callable[[str, int, int], None]
) -> Evaluated:
    """Enrols, runs the recording and judges each labelled pass.

    Raises DatasetError for labels that cannot be used or a watchlist that enrols nobody, WatchlistError, ModelError,
    stretch.Stopped, and what EmbeddedRun.run raises.
    """
    labelled = read_labels(recording.labels)
    deployment = deployment_for(
        recording.operating,
        source=str(recording.video),
        watchlist=str(recording.watchlist),
        subjects=layout_of(recording.watchlist),
        whole=True,
        realtime=recording.realtime,
    )
    wiring = Wiring(memory_world(deployment)[0], settings, Metrics(), realtime=recording.realtime)
    enrolment = enrol_folder(wiring, lambda done, total: progress("enrolling", done, total))
    if not enrolment.entries:
        why = "; ".join(f"{refused.place}: {refused.why}" for refused in enrolment.refused[:3])
        raise DatasetError(f"{recording.watchlist}: nobody could be enrolled ({why})")
    of_person = dict(Counter(entry.subject_id for entry in enrolment.entries))
    listed = {refused.subject_id for refused in enrolment.refused} | set(of_person)
    passers = tuple(
        Passer(
            number,
            each.person,
            each.person in listed,
            Sample(f"{each.from_s:g} to {each.until_s:g} s", recording.video, each.person),
        )
        for number, each in enumerate(labelled)
    )
    confirming, threshold = confirming_of(deployment, settings)
    progress("the recording", 0, 1)
    ran = run(deployment, settings, enrolment.entries, stop, realtime=recording.realtime)
    if ran.failure is not None:
        raise DatasetError(ran.failure)
    truth = LabelledTruth(labelled, None if recording.realtime else deployment.window.start_us)
    joiner = Joiner(
        truth,
        Subjects(enrolment.entries),
        confirming,
        enrolled=of_person,
        realtime=recording.realtime,
        stretch=0,
    )
    joined = joiner.join(passers, [True] * len(passers), ran.heard)
    progress("the recording", 1, 1)
    stretch = StretchRecord(
        number=0,
        frames=ran.frames,
        frames_seen=len(ran.heard.seen),
        wall_s=round(ran.wall_s, 3),
        pipeline_cpu_s=round(ran.cpu_s, 3),
        composing_cpu_s=0.0,
        ghosts=joined.ghosts,
        ghost_alerts=joined.ghost_alerts,
        passes=joined.passes,
    )
    failures = Counter(refused.why for refused in enrolment.refused)
    images = len(enrolment.entries) + len(enrolment.refused)
    return Evaluated(
        Cast((), passers),
        deployment,
        Enrolled(tuple(enrolment.entries), images, dict(failures), of_person),
        confirming,
        threshold,
        names_of(LoadedModels(deployment, settings, Metrics()), deployment.recognition),
        Data(
            name=recording.video.name,
            layout="recording",
            images=ran.frames,
            people=len({each.person for each in labelled}),
            images_of_a_person={},
            sha256=_sha256(recording.video),
            repeated=0,
            failures=dict(failures),
        ),
        (stretch,),
    )


def _sha256(path: Path) -> str:
    """Of a file; of a folder's files in the order of their names."""
    said = hashlib.sha256()
    for each in sorted(path.iterdir()) if path.is_dir() else [path]:
        with each.open("rb") as file:
            said.update(hashlib.file_digest(file, "sha256").digest())
    return said.hexdigest()
