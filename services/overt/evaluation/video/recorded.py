"""An evaluation on a recording whose passes are labelled."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from overt.evaluation.datasets import DatasetError, Sample
from overt.evaluation.results import Data
from overt.evaluation.video.cast import Passer
from overt.evaluation.video.enrolled import Enrolled, Progress
from overt.evaluation.video.evaluated import Evaluated, confirming_of, names_of
from overt.evaluation.video.join import Joined, Joiner
from overt.evaluation.video.labels import LabelledPass, LabelledTruth, read_labels
from overt.evaluation.video.records import StretchRecord
from overt.evaluation.video.rules import Subjects
from overt.evaluation.video.setting import Operating, deployment_for
from overt.evaluation.video.stretch import Run, run
from overt.governance.listing import layout_of
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings
from overt.runtime.watchlist.enrolment import Enrolment, enrol_folder
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
    recording: Recording, settings: Settings, *, stop: threading.Event, progress: Progress
) -> Evaluated:
    """Enrols, runs the recording and judges each labelled pass.

    Raises DatasetError for labels that cannot be used, a watchlist that enrols nobody or a video that cannot be read;
    WatchlistError, ModelError, stretch.Stopped, and what EmbeddedRun.run raises.
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
    enrolled = _enrolled(recording, enrolment)
    passers = _passers(recording, labelled, enrolment)
    confirming, threshold = confirming_of(deployment, wiring.models)
    progress("the recording", 0, 1)
    ran = run(deployment, settings, enrolled.entries, stop, realtime=recording.realtime)
    if ran.failure is not None:
        raise DatasetError(ran.failure)
    truth = LabelledTruth(labelled, None if recording.realtime else deployment.window.start_us)
    of_person, subjects = enrolled.of_person, Subjects(enrolled.entries)
    joiner = Joiner(truth, subjects, confirming, enrolled=of_person, realtime=recording.realtime, stretch=0)
    joined = joiner.join(passers, [True] * len(passers), ran.heard)
    progress("the recording", 1, 1)
    names = names_of(wiring.models, deployment.recognition)
    data = _data(recording, ran.frames, labelled, enrolled)
    return Evaluated(deployment, enrolled, confirming, threshold, names, data, (_record(ran, joined),))


def _enrolled(recording: Recording, enrolment: Enrolment) -> Enrolled:
    """Raises DatasetError where nobody could be enrolled."""
    if not enrolment.entries:
        why = "; ".join(f"{refused.place}: {refused.why}" for refused in enrolment.refused[:3])
        raise DatasetError(f"{recording.watchlist}: nobody could be enrolled ({why})")
    failures = Counter(refused.why for refused in enrolment.refused)
    of_person = Counter(entry.subject_id for entry in enrolment.entries)
    images = len(enrolment.entries) + len(enrolment.refused)
    return Enrolled(tuple(enrolment.entries), images, dict(failures), dict(of_person))


def _passers(recording: Recording, labelled: Sequence[LabelledPass], enrolment: Enrolment) -> tuple[Passer, ...]:
    """Whoever should be on the list is listed, also where none of their images could be enrolled."""
    listed = {entry.subject_id for entry in enrolment.entries} | {each.subject_id for each in enrolment.refused}
    return tuple(
        Passer(
            number,
            each.person,
            each.person in listed,
            Sample(f"{each.from_s:g} to {each.until_s:g} s", recording.video, each.person),
        )
        for number, each in enumerate(labelled)
    )


def _record(ran: Run, joined: Joined) -> StretchRecord:
    return StretchRecord(
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


def _data(recording: Recording, frames: int, labelled: Sequence[LabelledPass], enrolled: Enrolled) -> Data:
    return Data(
        name=recording.video.name,
        layout="recording",
        images=frames,
        people=len({each.person for each in labelled}),
        images_of_a_person={},
        sha256=_sha256(recording.video),
        repeated=0,
        failures=enrolled.failures,
    )


def _sha256(path: Path) -> str:
    """Of a file; of a folder's files in the order of their names."""
    said = hashlib.sha256()
    for each in sorted(path.iterdir()) if path.is_dir() else [path]:
        with each.open("rb") as file:
            said.update(hashlib.file_digest(file, "sha256").digest())
    return said.hexdigest()
