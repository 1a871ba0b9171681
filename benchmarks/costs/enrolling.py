"""A watchlist for a video: a folder of images, or the people of one early frame of the video itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from costs.task import CATEGORY, Task, open_models, wire
from overt.detector.calibration import shipped_calibration
from overt.detector.quality import Gate, calibrated
from overt.governance.listing import layout_of
from overt.identity import entry_id
from overt.messages import Kind, WatchlistEntry
from overt.picture import Bgr, Picture
from overt.runtime.watchlist.enrolment import enrol_folder

_EARLY = 0.5  # the frame is looked for in this much of the video
_EVERY = 3  # frames
_MOST_FRAMES = 60
_LEAST_FACE_PX = 32.0  # shorter side: what the pipeline compares by default


def enrol_from_folder(task: Task, folder: Path) -> Task:
    """The task with the watchlist of a folder, as `overt run` enrols it."""
    deployment = task.deployment(watchlist=folder, layout=layout_of(folder).value)
    wiring, _ = wire(task, open_models(task), deployment, realtime=False)
    return task.with_entries(enrol_folder(wiring, _silent).entries, None)


def enrol_from_video(task: Task) -> Task:
    """The task with everybody enrolled who is well seen in one frame: of the early ones the frame with most people.

    They are called person-1, person-2, ... from left to right. Nothing is written anywhere.
    """
    deployment = task.deployment()
    wiring, _ = wire(task, open_models(task), deployment, realtime=False)
    locator, aligner, model = wiring.locator(), wiring.aligner(), wiring.embedding_model()
    calibration = shipped_calibration(wiring.models.detector.decoder)
    least = Gate().min_quality  # a hand that the detector takes for a face stays below
    best: list[tuple[float, Bgr]] = []
    best_s = 0.0
    for at_s, bgr in _early_frames(task.video):
        found = locator.locate_precisely(bgr)
        chips = []
        for xyxy, score, landmarks in zip(found.xyxy, found.scores, found.landmarks, strict=True):
            chip = aligner.chip(bgr, landmarks)
            large = min(xyxy[2] - xyxy[0], xyxy[3] - xyxy[1]) >= _LEAST_FACE_PX
            if chip is not None and large and calibrated(chip, landmarks, float(score), calibration) >= least:
                chips.append((float(xyxy[0]), chip))
        if len(chips) > len(best):
            best, best_s = chips, at_s
    entries = []
    for number, (_, chip) in enumerate(sorted(best, key=lambda face: face[0]), start=1):
        subject = f"person-{number}"
        entry = WatchlistEntry(
            entry_id=entry_id(deployment.deployment_id, subject, "frame"),
            deployment_id=deployment.deployment_id,
            subject_id=subject,
            category=CATEGORY,
            kind=Kind.WANTED,
            basis="A measurement",
            valid_from_us=deployment.window.start_us,
            valid_until_us=deployment.window.end_us,
            space_id=model.card.space_id,
            enrolled_at_us=deployment.window.start_us,
            vector=model.embed(chip[None])[0],
            reference_image=Picture(bgr=chip),
        )
        entries.append(entry)
    return task.with_entries(entries, best_s)


def _silent(_done: int, _of: int) -> None:
    """Nobody watches."""


def _early_frames(video: Path) -> Iterator[tuple[float, Bgr]]:
    """Some frames of the first half, evenly spread, with their times."""
    capture = cv2.VideoCapture(str(video))
    if not capture.isOpened():
        raise SystemExit(f"{video}: this video cannot be read; give an MP4, MKV, AVI, MOV, WebM or GIF")
    times_ms = []
    while capture.grab():
        times_ms.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    capture.release()
    early = max(1, round(len(times_ms) * _EARLY))
    wanted = set(np.arange(0, early, max(_EVERY, early // _MOST_FRAMES)).tolist())
    capture = cv2.VideoCapture(str(video))
    for number in range(early):
        if capture.grab() and number in wanted:
            ok, bgr = capture.retrieve()
            if ok:
                yield times_ms[number] / 1000, np.asarray(bgr, np.uint8)
    capture.release()
