"""From a detection that continues a track to a face for the embedder, or to knowing that there is none worth it yet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from overt.detector import bestshot, views
from overt.detector.align import Aligner
from overt.detector.bestshot import ShotPolicy
from overt.detector.calibration import Calibration
from overt.detector.locate import Locator, Look
from overt.detector.quality import Gate, calibrated, promise
from overt.detector.scene import Scene
from overt.detector.state import Track
from overt.messages import Face
from overt.picture import Bgr, Picture

_LEAVING_S = 0.3  # a face is leaving when it will reach beyond the zone's edge within this time


class Chooser:
    """Looks, measures and cuts; cheap checks first. Blocks for one small pass of the network where it looks."""

    def __init__(
        self,
        locator: Locator,
        aligner: Aligner,
        *,
        calibration: Calibration,
        gate: Gate,
        policy: ShotPolicy,
        with_context: bool,
    ) -> None:
        self._locator = locator
        self._aligner = aligner
        self._calibration = calibration
        self._gate = gate
        self._policy = policy
        self._with_context = with_context

    def consider(self, scene: Scene, detection: int) -> tuple[Track, Face | None]:
        """The detection's track as it is afterwards, and the face when one is to be sent."""
        track = scene.tracks[scene.owners[detection]]
        xyxy, clock_us, policy = scene.found.xyxy[detection], scene.clock_us, self._policy
        promised = promise(scene.found.landmarks[detection], self._calibration)
        if float((xyxy[2:] - xyxy[:2]).min()) < self._gate.min_face_px or promised < self._gate.min_promise:
            return track, None
        leaving = _leaving(track, scene)
        if not bestshot.worth_a_look(track.shots, promised, clock_us=clock_us, leaving=leaving, policy=policy):
            return track, None
        look = self._locator.look(scene.bgr, xyxy)
        chip = None if look is None else self._aligner.chip(scene.bgr, look.landmarks)
        value = 0.0 if look is None or chip is None else calibrated(chip, look.landmarks, look.score, self._calibration)
        wanted = bestshot.send(track.shots, value, clock_us=clock_us, leaving=leaving, policy=policy)
        if look is None or chip is None or value < self._gate.min_quality or not wanted:
            return replace(track, shots=bestshot.looked(track.shots, promised, clock_us=clock_us)), None
        shots = bestshot.sent(track.shots, promised, value, clock_us=clock_us)
        return replace(track, shots=shots, confirmed=True), self._face(scene, detection, look, chip, value)

    def _face(self, scene: Scene, detection: int, look: Look, chip: Bgr, value: float) -> Face:
        frame = scene.frame
        own, others = scene.found.xyxy[detection].tolist(), scene.others(detection)
        return Face(
            camera_id=frame.camera_id,
            source_epoch=frame.source_epoch,
            frame_seq=frame.frame_seq,
            face_index=detection,
            captured_at_us=frame.captured_at_us,
            track_id=scene.tracks[scene.owners[detection]].track_id,
            box=scene.box(detection),
            landmarks=(look.landmarks + np.array([frame.left, frame.top], np.float32)).ravel(),
            detection_score=look.score,
            quality=value,
            crop=Picture(bgr=chip),
            thumbnail=views.thumbnail(scene.bgr, own, others),
            context=views.context(scene.bgr, own, others) if self._with_context else None,
        )


def _leaving(track: Track, scene: Scene) -> bool:
    """Whether the face moves out of the picture. At the picture's edge and standing still is not leaving."""
    dx, dy = track.vx * _LEAVING_S, track.vy * _LEAVING_S
    left, top = scene.frame.left, scene.frame.top
    height, width = scene.bgr.shape[:2]
    half_width, half_height = track.width / 2, track.height / 2
    return (
        (dx < 0 and track.cx + dx - half_width < left)
        or (dx > 0 and track.cx + dx + half_width > left + width)
        or (dy < 0 and track.cy + dy - half_height < top)
        or (dy > 0 and track.cy + dy + half_height > top + height)
    )
